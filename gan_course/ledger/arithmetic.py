"""Claims that arithmetic settles: losses, ratios, dates, and counts of words."""

from __future__ import annotations

import ast
import math
import re
from datetime import date
from importlib.metadata import metadata
from urllib.parse import urlsplit

import torch
import torch.nn.functional as F

from gan_course.ledger import reading
from gan_course.ledger.findings import Finding, settles

# ------------------------------------------------------------------------------------------ the document's words

#: What anybody who holds the document can count again with :func:`count`. The document is not part of the course, so
#: its figures are recorded: counted on 22 November 2026 in its Markdown text of 10,107 characters.
RECORDED: dict[str, int] = {
    "sums of money": 0, "addresses": 1,
    "years": 5, "GAN": 24, "OCR": 1, "扩散": 0, "潜": 0, "文本": 0, "引导": 0,
    "调度": 0, "编码器": 0, "VAE": 0, "U-Net": 0, "CLIP": 0, "LAION": 0, "许可": 0, "版权": 0, "偏见": 0, "能耗": 0,
}  # fmt: skip
#: What those Chinese words mean.
MEANING = {
    "扩散": "diffusion", "潜": "latent", "文本": "text", "引导": "guidance", "调度": "schedule", "编码器": "encoder",
    "许可": "licence", "版权": "copyright", "偏见": "bias", "能耗": "energy use",
}  # fmt: skip


def count(text: str) -> dict[str, int]:
    """The figures of :data:`RECORDED`, counted in ``text``."""
    patterns = {
        "sums of money": r"[$€£¥￥]\s?\d|\d\s*(?:美元|欧元|元|亿|万)",
        "addresses": r"https?://",
        "years": r"(?<!\d)(?:19|20)\d\d(?!\d)",
    }
    return {word: len(re.findall(patterns[word], text)) if word in patterns else text.count(word) for word in RECORDED}


def _hits(*words: str) -> str:
    return ", ".join(f"{MEANING.get(word, word)} {RECORDED[word]}" for word in words)


@settles("S0-b")
def sums_of_money() -> Finding:
    figures = RECORDED["sums of money"]
    return Finding("an analysis of the market", f"{figures} sums of money in the text", figures != 0)


@settles("S1.4-b")
def terms() -> Finding:
    needed = ("扩散", "潜", "VAE", "U-Net", "CLIP")
    says = "the terms that one needs"
    return Finding(says, f"OCR {RECORDED['OCR']} time; {_hits(*needed)}", all(map(RECORDED.get, needed)))


@settles("S3.3-k", "S5.2-a")
def parts_of_stable_diffusion() -> Finding:
    parts = ("扩散", "潜", "文本", "编码器", "调度", "引导")
    return Finding("Stable Diffusion", f"in the whole text: {_hits(*parts)}", all(map(RECORDED.get, parts)))


@settles("S10-c")
def omissions() -> Finding:
    words = ("LAION", "许可", "版权", "偏见", "能耗")
    return Finding("what decides about a product", _hits(*words), all(map(RECORDED.get, words)))


def is_reserved(address: str) -> bool:
    """Whether an address lies in a domain that RFC 2606 keeps for examples, so that nothing can be there."""
    host = urlsplit(address).hostname or ""
    return bool(re.search(r"(^|\.)(example\.(com|net|org)|example|test|invalid|localhost)$", host))


@settles("S2.1-d")
def placeholder() -> Finding:
    address = "https://example.com/stable_diffusion_diagram.png"  # the only one in the text
    return Finding("a figure", f"{urlsplit(address).hostname} is reserved for examples", not is_reserved(address))


# ------------------------------------------------------------------------------------------ money, time, dates


@settles("S0-a")
def cost_of_revenue() -> Finding:
    computing, other, revenue = 99e6, 54e6, 11e6  # US dollars, forecast of October 2023 for that year
    peers = {"Black Forest Labs": 300, "Runway": 315}  # million US dollars raised, December 2025 and February 2026
    found = (
        f"for each dollar of revenue {computing / revenue:.1f} dollars of computing, "
        f"{(computing + other) / revenue:.1f} of all costs. In the same market, "
        + " and ".join(f"{name} raised {millions} million" for name, millions in peers.items())
    )
    return Finding("good technology, no investors", found, sum(peers.values()) == 0)


@settles("S2.3-g")
def share_of_pictures() -> Finding:
    millions = {"DALL·E 2": 916, "Midjourney": 964, "Firefly": 1000, "built on Stable Diffusion": 12_590}
    share = millions["built on Stable Diffusion"] / sum(millions.values())
    found = f"{share:.0%} of the {sum(millions.values()) / 1000:.2f} billion pictures estimated"
    return Finding("hardly accepted", found, share < 0.5)


@settles("S2.3-c")
def calls_a_picture() -> Finding:
    calls = {"GAN": 1, "50 steps with guidance": 50 * 2}
    hours, minutes = 20, 1  # 50,000 pictures of 32×32: DDPM in hours, a GAN in less than so many minutes
    found = ", ".join(f"{name} {number}" for name, number in calls.items())
    found = f"network calls a picture: {found}; by DDIM's authors {hours * 60 // minutes:,} times as long or more"
    return Finding("clearly faster than others", found, calls["50 steps with guidance"] < calls["GAN"])


@settles("S2.3-e")
def seconds_a_picture() -> Finding:
    rates = {"A100, 2023": 21.66, "the same, compiled": 44.03}  # U-Net iterations a second at 512×512
    seconds = {name: 50 / rate for name, rate in rates.items()} | {"one distilled step": 0.2}
    found = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    return Finding("much computing and time a picture", f"50 steps on an {found}", max(seconds.values()) >= 60)


@settles("S8-a")
def software_alone() -> Finding:
    minutes = {"November 2023": 10.02, "June 2024": 6.70, "November 2024": 6.15}  # MLPerf, the same 64 H100
    first, *_, last = minutes.values()
    found = f"{first / last:.2f} times as fast in a year on the same 64 H100, without more of it"
    return Finding("more computing makes it better", found, last >= first)


PUBLIC = {  # first public release
    "latent diffusion, the preprint": date(2021, 12, 20), "Stable Diffusion": date(2022, 8, 22),
    "Stable Video Diffusion": date(2023, 11, 21),
}  # fmt: skip


@settles("S1.4-a", "S2.2-b")
def video_came_later() -> Finding:
    picture, video = PUBLIC["Stable Diffusion"], PUBLIC["Stable Video Diffusion"]
    found = f"pictures {picture:%d %B %Y}, video {(video - picture).days} days later, by another model"
    return Finding("one model for pictures and video", found, holds=video <= picture)


@settles("S8-b")
def video_is_there() -> Finding:
    counted, video = date(2026, 11, 22), PUBLIC["Stable Video Diffusion"]  # the day on which the document was read
    found = f"a model for it has been public since {video:%d %B %Y}, and sections 2.2 and 6 list it as present"
    return Finding("video is still to come", found, holds=counted < video)


@settles("S7.3-f")
def before_its_subject() -> Finding:
    announced = date(2022, 8, 10)
    found = f"the name is public since {announced:%B %Y}"
    return Finding("a book of 2021 on Stable Diffusion", found, announced.year <= 2021)


@settles("S7.3-a")
def founding_paper() -> Finding:
    gan, dcgan = (reading.works()[key] for key in ("gan", "dcgan"))
    found = f"DCGAN {reading.month_of(dcgan['eprint'])}, the first GAN {reading.month_of(gan['eprint'])}"
    return Finding("DCGAN, 2014, came first", found, reading.month_of(dcgan["eprint"]).startswith("2014"))


@settles("S7.1-a")
def textbook() -> Finding:
    year, ddpm = int(reading.works()["deeplearning"]["year"]), reading.works()["ddpm"]["date"]
    return Finding("a real book", f"published {year}, DDPM came in {ddpm}", year < int(ddpm[:4]))


@settles("S10-a")
def references_that_exist() -> Finding:
    from gan_course.ledger import get

    cited = ["S7.1-a", "S7.1-b", "S7.3-c", "S7.3-d", "S7.3-e", "S7.3-f"]
    real = [name for name in cited if get(name).verdict != "no such work"]
    return Finding(f"{len(cited)} works", f"{len(real)} of them found", len(real) == len(cited))


# ------------------------------------------------------------------------------------------ the losses of section 4


def minus_log(p: float, base: float = math.e) -> float:
    """The cost of a belief ``p`` in what is true, ``-log p`` to ``base``. Raises ``ValueError`` outside of 0 < p <= 1.

    >>> round(minus_log(0.9), 4), round(minus_log(0.9, 2), 4), round(minus_log(0.9, 10), 4)
    (0.1054, 0.152, 0.0458)
    """
    if not 0 < p <= 1:
        raise ValueError(f"a belief must lie above 0 and be 1 at most but is {p}")
    return -math.log(p) / math.log(base)


def slope(function, at: float) -> float:
    """The derivative of a function of one number, by autograd."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(function(x), x)[0].item()


@settles("S3.1-b")
def direction_of_the_generator() -> Finding:
    at = slope(lambda p: -p.log(), 0.1)
    return Finding(
        "a low score is the aim", f"the loss −log D has slope {at:.0f} at D = 0.1: it falls as D rises", at > 0
    )


@settles("S4.1-b")
def non_saturating() -> Finding:
    strong, weak = slope(lambda p: -p.log(), 0.01), slope(lambda p: (1 - p).log(), 0.01)
    same = math.isclose(minus_log(0.01), F.softplus(-torch.tensor(0.01, dtype=torch.float64).logit()).item())
    return Finding("−log D(G(z))", f"at D = 0.01 slope {strong:.0f}; of log(1 − D) {weak:.2f}", same and strong < weak)


@settles("S4.1-c", "S5.3-b")
def cross_entropy() -> Finding:
    worst = 0.0
    for real, fake in ((0.9, 0.1), (0.5, 0.5), (0.2, 0.7)):
        beliefs, targets = (
            torch.tensor([real, fake], dtype=torch.float64),
            torch.tensor([1.0, 0.0], dtype=torch.float64),
        )
        theirs = F.binary_cross_entropy(beliefs, targets, reduction="sum").item()
        worst = max(worst, abs(theirs - minus_log(real) - minus_log(1 - fake)))
    return Finding("−log D(x) − log(1 − D(G(z)))", f"differs from cross-entropy by {worst:.0e}", worst < 1e-9)


@settles("S4.1-d")
def beliefs_are_probabilities() -> Finding:
    low, high = torch.tensor([-30.0, 30.0]).sigmoid().tolist()
    return Finding("D is a probability", f"logits −30 to 30 give D from {low:.0e} to {high:.0f}", 0 <= low < high <= 1)


@settles("S4.2-a", "S5.3-c")
def sign_of_the_generator() -> Finding:
    right, said = minus_log(0.1), math.log(0.1)
    return Finding("the logarithm", f"log 0.1 = {said:.4f}, the loss is {right:.4f}", math.isclose(right, said))


@settles("S4.2-b")
def two_logarithms() -> Finding:
    right, said = minus_log(0.9) + minus_log(1 - 0.1), math.log(0.9) + math.log(0.1)
    return Finding("log 0.9 + log 0.1", f"that is {said:.4f}, the loss is {right:.4f}", math.isclose(right, said))


@settles("S4.3-a")
def generator_example() -> Finding:
    return Finding("2.30", f"−ln 0.1 = {minus_log(0.1):.4f}", round(minus_log(0.1), 2) == 2.30)


@settles("S4.3-b")
def three_bases() -> Finding:
    found = ", ".join(f"base {name} {minus_log(0.9, base):.4f}" for name, base in (("e", math.e), ("2", 2), ("10", 10)))
    return Finding("0.15", found, round(minus_log(0.9), 2) == 0.15)


@settles("S4.3-c")
def second_term() -> Finding:
    right, said = minus_log(1 - 0.1), minus_log(0.1)
    return Finding("−log 0.1", f"that is {said:.4f}, −ln(1 − 0.1) is {right:.4f}", math.isclose(right, said))


@settles("S4.3-d")
def discriminator_example() -> Finding:
    right, own, guess = 2 * minus_log(0.9), minus_log(0.9) + minus_log(0.1), 2 * minus_log(0.5)
    found = f"{right:.4f}; its own terms {own:.4f}; a guess {guess:.4f}"
    return Finding("2.45", found, round(right, 2) == 2.45)


@settles("S4.3-e")
def value_or_gradient() -> Finding:
    plain, raised = (slope(lambda p, c=c: -p.log() + c, 0.1) for c in (0, 100))
    return Finding(
        "the numbers update", f"slope {plain:.0f}, and {raised:.0f} with 100 added to the loss", plain != raised
    )


# ------------------------------------------------------------------------------------------ section 5.1


@settles("S5.1-a")
def python_versions() -> Finding:
    asked = metadata("torch")["Requires-Python"]
    lowest = int(re.search(r">=\s*3\.(\d+)", asked)[1])  # type: ignore[index]  # PyTorch always names one
    return Finding("Python 3.6 or newer", f"PyTorch asks for {asked}", lowest <= 6)


@settles("S5.1-b")
def frameworks() -> Finding:
    extras = metadata("diffusers").get_all("Provides-Extra") or []
    there = {name: any(name in extra for extra in extras) for name in ("torch", "tensorflow")}
    found = ", ".join(f"{name} {'yes' if yes else 'no'}" for name, yes in there.items())
    return Finding("TensorFlow or PyTorch", f"what diffusers can be installed with: {found}", all(there.values()))


@settles("S3.3-a")
def is_python() -> Finding:
    wrong = []
    for line in ("function train(networks):", "for step in 1 to steps: pass"):  # in our words, of the same form
        try:
            ast.parse(line)
        except SyntaxError as error:
            wrong.append(f"line {error.lineno} of {line.split('(')[0].split(' in ')[0]!r}")
    return Finding("Python", f"syntax errors: {len(wrong)} of 2 forms", not wrong)
