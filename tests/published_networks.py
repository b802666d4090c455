"""What is published of the zoo's networks for ImageNet, 224×224×3 and 1,000 classes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Attributes.

    top_1: Per cent of the validation images.
    size: As published, a bit for a binary weight and 32 for another; Larq Zoo writes MB for MiB.
    parameters: Of all weights or, with `folded`, without the moving statistics that an exporter
        folds into batch normalization's scale and bias.
    macs: Binary and float multiply-accumulates, as integers, or as text where they are rounded.
    source: Where these are from.
    """

    top_1: float
    size: str
    source: str
    parameters: int | None = None
    folded: bool = False
    macs: tuple[int, int] | tuple[str, str] | None = None


_ZOO = "Larq Zoo 2.3.2, documentation of its functions"
_ZOO_MACS = f"{_ZOO}; tests/snapshots/model_summaries"

PUBLISHED = {
    "binary_alexnet": Published(
        36.30, "7.49 MiB", _ZOO_MACS, 61_859_192, macs=(768_512_000, 72_855_552)
    ),
    "binary_densenet28": Published(60.91, "4.12 MiB", _ZOO, 5_150_504),
    "binary_densenet37": Published(62.89, "5.25 MiB", _ZOO, 8_734_120),
    "binary_densenet45": Published(64.59, "7.54 MiB", _ZOO, 13_939_240),
    "birealnet18": Published(
        57.47, "4.03 MiB", _ZOO_MACS, 11_699_112, macs=(1_676_279_808, 137_793_536)
    ),
    "birealnet34": Published(
        62.2, "43.7 Mbit", "Liu et al., Bi-Real Net, 2018; its repository has the accuracy"
    ),
    "bnext_tiny": Published(72.4, "—", "Guo et al., BNext, 2022: its repository"),
    "meliusnet22": Published(
        62.4, "3.88 MiB", _ZOO_MACS, 6_944_584, folded=True, macs=(4_624_220_160, 136_388_608)
    ),
    "quicknet_small": Published(59.4, "4.00 MiB", _ZOO, 12_655_688, folded=True),
    "quicknet": Published(63.3, "4.17 MiB", _ZOO, 13_234_088, folded=True),
    "quicknet_large": Published(66.9, "5.40 MiB", _ZOO, 23_342_248, folded=True),
    "reactnet_a": Published(
        69.4,
        "—",
        "Liu et al., ReActNet, 2020; its repository has the accuracy",
        macs=("4.82e+09", "1.2e+07"),
    ),
    "real_to_binary_net": Published(
        65.01, "5.13 MiB", _ZOO_MACS, 11_995_624, macs=(1_676_279_808, 138_087_936)
    ),
    "resnet_e18": Published(
        58.32, "4.03 MiB", _ZOO_MACS, 11_699_368, macs=(1_676_279_808, 137_793_536)
    ),
    "xnornet": Published(
        44.96, "22.81 MiB", _ZOO_MACS, 62_396_768, macs=(1_025_744_896, 113_379_328)
    ),
}
"""By the zoo's names; the two networks for boards are ours and have nothing published."""
