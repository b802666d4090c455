"""`keras-bnn benchmark --on adb`, against a stand-in for adb and against the real one."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hand_made import FLOAT32, binary_layer, hand_made

FOLDER = re.compile("/data/local/tmp/keras_bnn_[0-9a-f]{8}")
STAND_IN = Path(__file__).parent / "android" / "adb"
PHONE = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 7",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
    "ro.build.version.sdk": "34",
    "ro.build.version.release": "14",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "GS201",
}
XNNPACK = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
DELEGATE = (
    "INFO: EXTERNAL delegate created.\n"
    "INFO: Explicitly applied EXTERNAL delegate, and the model graph will be partially executed by "
    "the delegate w/ 3 delegate kernels.\n"
)
RUNS = (
    "INFO: count=5 first=1500 curr=1300 min=1290 max=1500 avg=1330.2 std=80 "
    "p5=1290 median=1300 p95=1500\n\n"
    "INFO: count=41 first=1260 curr=1240 min=1180 max=2.5e+03 avg=1301 std=120 "
    "p5=1190 median=1234 p95=2000\n\n"
    "INFO: Inference timings in us: Init: 8000, First inference: 1500, Warmup (avg): 1330.2, "
    "Inference (avg): 1301\n"
)


@pytest.fixture
def phone(tmp_path, monkeypatch):
    """Puts the stand-in in place; returns how to make it answer, and what it was asked."""
    scenario = tmp_path / "scenario"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "adb").symlink_to(STAND_IN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_ADB", str(scenario))

    def answers(devices="R58M\tdevice", report=XNNPACK + DELEGATE + RUNS, status=0, **others):
        listed = {"out": f"List of devices attached\n{devices}\n\n"}
        program = {"err": report, "status": status}
        scenario.write_text(
            json.dumps(
                {"devices": listed, "properties": PHONE, "benchmark_model": program} | others
            )
        )

    answers.asked = lambda: [
        json.loads(FOLDER.sub("FOLDER", line))
        for line in Path(f"{scenario}.asked").read_text().splitlines()
    ]
    answers()
    return answers


@pytest.fixture
def options(tmp_path):
    """What names the phone's program and library, which are not looked into any further."""
    found = []
    for option in ("library", "benchmark-model"):
        path = tmp_path / option
        path.write_bytes(b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + b"\xb7\0")
        found += [f"--{option}", path]
    return found


@pytest.fixture
def model(tmp_path):
    """A file of one 1-bit convolution of two images."""
    path = tmp_path / "model.tflite"
    path.write_bytes(binary_layer())
    return path


def test_a_phones_report_becomes_the_table(run, phone, options, model):
    ran = run("benchmark", model, "--on", "adb", *options, "--threads", "1,4", "--json")
    assert ran.status == 0, ran.err
    first, second = ran.json["measurements"]
    assert first["timing"] == {"median": 1.234, "minimum": 1.18, "spread": None, "runs": 41}
    assert (first["threads"], second["threads"]) == (1, 4)
    assert (first["file"], first["engine"]) == (str(model), "LiteRT + keras-bnn")
    assert first["batch"] == 2
    assert ran.json["board"] == "Google Pixel 7"
    assert ran.json["processor"] == "Google GS201"
    assert ran.json["versions"] == {"Android": "14"}

    table = run("benchmark", model, "--on", "adb", *options, "--threads", "1").out
    assert [line.split()[-5:] for line in table.splitlines() if "model.tflite " in line] == [
        ["2", "1.234", "1.180", "?", "1.00x"]
    ]
    assert "Google GS201 (arm64-v8a), not pinned\nAndroid 14\nGoogle Pixel 7\n" in table


def test_the_phone_is_asked_for_no_more_than_it_takes(run, phone, options, model, tmp_path):
    odd = tmp_path / "-x 'y' $(touch z); \"é\n.tflite"
    shutil.copy(model, odd)
    ran = run("benchmark", "--on", "adb:R58M", *options, "--threads", "2", "--pin", "4", "--", odd)
    assert ran.status == 0, ran.err
    assert phone.asked() == [
        ["devices"],
        *(
            ["-s", "R58M", *words]
            for words in (
                ["shell", "getprop"],
                ["shell", "mkdir FOLDER"],
                ["push", str(options[3]), "FOLDER/benchmark_model"],
                ["push", str(options[1]), "FOLDER/libkeras_bnn.so"],
                ["push", str(odd), "FOLDER/0.tflite"],
                ["shell", "chmod -R 755 FOLDER"],
                [
                    "shell",
                    "taskset 10 FOLDER/benchmark_model --graph=FOLDER/0.tflite "
                    "--num_threads=2 --num_runs=3 --min_secs=2 --max_secs=150 "
                    "--external_delegate_path=FOLDER/libkeras_bnn.so",
                ],
                ["shell", "rm -rf FOLDER"],
            )
        ),
    ]


def test_float_files_need_no_library(run, phone, options, tmp_path):
    float_file = tmp_path / "float.tflite"
    row = (FLOAT32, (1, 4), None)
    float_file.write_bytes(hand_made([row, row], [("RELU", [0], [1], None)]))
    phone(report=RUNS)
    ran = run("benchmark", float_file, "--on", "adb", *options[2:], "--threads", "1", "--json")
    assert ran.json["measurements"][0]["engine"] == "LiteRT"
    assert any("does not say that it used XNNPACK" in note for note in ran.json["notes"])
    (command,) = (words[3] for words in phone.asked() if "benchmark_model --graph" in words[-1])
    assert "external_delegate" not in command


@pytest.mark.parametrize(
    ("devices", "on", "complaint"),
    [
        ("", "adb", "adb finds no phone: connect it by USB, with USB debugging,"),
        ("", "adb:R58M", "adb finds no phone R58M: connect it by USB"),
        ("", "adb:10.0.0.5:5555", "connect to it (adb connect 10.0.0.5:5555)"),
        ("A\tdevice\nB\tdevice", "adb", "several phones (A, B): name one, such as --on adb:A."),
        ("A\tdevice\nB\tdevice", "adb:C", "adb finds no phone C, but A, B: connect it by USB"),
        ("A\tunauthorized", "adb", "A is unauthorized: confirm the connection on its screen."),
        ("A\toffline", "adb:A", "The phone A is offline: connect it again, or turn USB debugging"),
        ("A\tno permissions (missing udev rules?); see [http://x]", "adb", "the group plugdev"),
        ("A\trecovery", "adb", "The phone A is recovery: let it start Android."),
    ],
)
def test_a_phone_that_is_not_ready(run, phone, options, model, devices, on, complaint):
    phone(devices=devices)
    assert complaint in run("benchmark", model, "--on", on, *options).error
    assert phone.asked() == [["devices"]]


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"ro.product.cpu.abilist": "x86_64,x86"}, "R58M runs x86_64,x86, expected arm64-v8a."),
        ({"ro.product.cpu.abilist": "armeabi-v7a"}, "R58M runs armeabi-v7a, expected arm64-v8a."),
        ({"ro.build.version.sdk": "25"}, "has Android API 25, expected 26 (Android 8.0) or later"),
    ],
)
def test_a_phone_that_cannot_run_it(run, phone, options, model, changed, complaint):
    phone(properties=PHONE | changed)
    assert complaint in run("benchmark", model, "--on", "adb", *options).error
    assert not [words for words in phone.asked() if "push" in words]


PUSH = "adb: error: failed to copy 'm' to '/data/local/tmp/m': remote "
BROKEN = {"err": "ERROR: Failed to allocate tensors!\nERROR: Benchmarking failed.\n", "status": 1}


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        (
            {"push": {"err": f"{PUSH}No space left on device\n", "status": 1}},
            "No space left on device): free some of the phone's storage, and run this again.",
        ),
        (
            {"push": {"err": f"{PUSH}couldn't create file: Permission denied\n", "status": 1}},
            "couldn't create file: Permission denied): connect it again",
        ),
        (
            {
                "mkdir": {
                    "err": "mkdir: '/data/local/tmp/keras_bnn': No space left on device\n",
                    "status": 1,
                }
            },
            "free some of the phone's storage",
        ),
        (
            {"benchmark_model": {"err": "error: device 'R58M' not found\n", "status": 1}},
            "benchmark_model failed on the phone R58M (error: device 'R58M' not found): connect it",
        ),
        (
            {"benchmark_model": {"err": "INFO: STARTING!\n", "status": 255}},
            "(INFO: STARTING!): connect it again, and run this again.",
        ),
        (
            {"benchmark_model": BROKEN},
            "ended with status 1 for {model} on the phone R58M: ERROR: Failed to allocate tensors!",
        ),
        (
            {"benchmark_model": {"err": "Segmentation fault\n", "status": 139}},
            "ended with status 139 for {model} on the phone R58M: Segmentation fault",
        ),
        ({"benchmark_model": {}}, "without keras-bnn's delegate"),
        (
            {"benchmark_model": {"err": XNNPACK + RUNS}},
            "without keras-bnn's delegate: expected the "
            "program that takes --external_delegate_path",
        ),
        (
            {
                "benchmark_model": {
                    "err": "INFO: EXTERNAL delegate created.\nINFO: Though EXTERNAL "
                    "delegate is explicitly applied, the model graph will not be executed by the "
                    "delegate.\n" + RUNS
                }
            },
            "without keras-bnn's delegate",
        ),
        (
            {"benchmark_model": {"err": DELEGATE + "INFO: STARTING!\n"}},
            "no timings, but: INFO: STARTING!",
        ),
        (
            {"benchmark_model": {"err": DELEGATE + RUNS.partition("Inference timings")[0]}},
            "no timings",
        ),
        (
            {"benchmark_model": {"err": DELEGATE + RUNS.replace("median=", "middle=")}},
            "no median: take a newer one.",
        ),
    ],
)
def test_what_fails_on_the_phone_ends_in_one_line(run, phone, options, model, scenario, complaint):
    phone(**scenario)
    error = run("benchmark", model, "--on", "adb", *options).error
    assert complaint.format(model=model) in error
    # Nothing is left there, as far as the phone is.
    assert phone.asked()[-1][-1] == "rm -rf FOLDER" or "mkdir" in scenario


def test_runs_that_all_took_equally_long(run, phone, options, model):
    equal = "INFO: count=3 curr=50(all same) p5=50 median=50 p95=50\n"
    phone(report=DELEGATE + equal + equal + "INFO: Inference timings in us: Init: 1\n")
    ran = run("benchmark", model, "--on", "adb", *options, "--threads", "1", "--json")
    timing = ran.json["measurements"][0]["timing"]
    assert timing == {"median": 0.05, "minimum": 0.05, "spread": None, "runs": 3}


def test_what_the_user_names_is_looked_at_before_any_phone(run, phone, options, model, tmp_path):
    on = ("benchmark", model, "--on", "adb")
    library, program = options[:2], options[2:]
    assert "--benchmark-model is missing: name the phone's" in run(*on, *library).error
    assert "--library is missing: name the phone's" in run(*on, *program).error
    assert "No such file" in run(*on, *program, "--library", tmp_path / "none").error
    here = tmp_path / "here.so"
    here.write_bytes(b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + b"\x3e\0")
    assert "which is not for arm64-v8a" in run(*on, *program, "--library", here).error
    here.write_bytes(options[1].read_bytes() + b"\0libc.so.6\0")
    assert "for Linux and not Android" in run(*on, *program, "--library", here).error
    assert "--batch is 4, expected 1" in run(*on, *options, "--batch", "4").error
    assert "--profile means nothing with --on adb" in run(*on, *options, "--profile").error
    assert not Path(f"{os.environ['STAND_IN_ADB']}.asked").exists()


def test_a_missing_adb_is_named(run, options, model, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "adb is not installed" in run("benchmark", model, "--on", "adb", *options).error


@pytest.mark.android
def test_the_real_adb_finds_no_phone(run, options, model, monkeypatch, tmp_path):
    # A server of its own, which knows no phone and is ended here.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("HOME", str(tmp_path))
    try:
        for on in ("adb", "adb:emulator-5554"):
            error = run("benchmark", model, "--on", on, *options).error
            assert "adb finds no phone" in error
    finally:
        subprocess.run(["adb", "kill-server"], check=True)
