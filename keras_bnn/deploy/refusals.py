"""What ssh says when nobody gets in, and what to do about it."""

from __future__ import annotations

from keras_bnn.deploy.target import Ssh

# The first whose words ssh printed counts; `{ssh}` is the command that logs in by hand.
_REMEDIES = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one of before: if the board was set up anew, forget the old key "
        "with `ssh-keygen -R {name}`; if not, someone may be posing as it.",
    ),
    (
        "Host key verification failed",
        "its host key is not known here, or was not confirmed: run `{ssh}` once and confirm it.",
    ),
    (
        "Could not resolve hostname",
        "no such name is known: check it, and that the board is on this network; its address "
        "works, too.",
    ),
    (
        "Connection refused",
        "a machine is there, but no ssh server answers at {port}: switch ssh on (raspi-config, "
        "Interface Options), or name another port.",
    ),
    (
        "Too many authentication failures",
        "your agent offers too many keys: name the right one as IdentityFile in ~/.ssh/config, "
        "with IdentitiesOnly yes.",
    ),
    (
        "Permission denied",
        "the login was refused: check the user's name and the password, or bring your key there "
        "with `ssh-copy-id{options} {login}`.",
    ),
    (
        "",
        "it cannot be reached: check that it is switched on and on this network; `{ssh}` has to "
        "work.",
    ),
)


def why_refused(target: Ssh, said: str) -> str:
    """One line for what ssh printed on standard error before it gave up."""
    remedy = next(remedy for words, remedy in _REMEDIES if words in said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    options = f" -p {target.port}" if target.port else ""
    login = f"{target.user}@{target.host}" if target.user else target.host
    remedy = remedy.format(
        ssh=f"ssh{options} {login}",
        login=login,
        options=options,
        port=f"port {target.port}" if target.port else "its port",
        name=f"[{target.host}]:{target.port}" if target.port else target.host,
    )
    # ssh ends its lines with a carriage return, too, and the board may send others.
    last = "".join(filter(str.isprintable, lines[-1])) if lines else "ssh said nothing"
    return f"{target}: {remedy} ({last})"
