"""How the zoo's generator of digits was trained: chapter 04's conditional pair, for longer than a chapter may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_course import data, losses, metrics, zoo
from gan_course.networks import ConvDiscriminator, ConvGenerator, measure_batch_norms
from gan_course.recipes.run import UNSEEN, Run, random_numbers, warmup_then_cosine

CLASSES = 10


@dataclass(frozen=True)
class DigitsGanSettings:
    batch: int = 64
    learning_rate: float = 3e-3
    r1_weight: float = 2.0
    decay: float = 0.999
    pictures: int = 20_000


class DigitsGanRun(Run):
    """A class-conditional GAN of rendered digits, 28x28 and grey, by the recipe of chapter 04."""

    name, steps = "digits_gan", 10_000
    settings = DigitsGanSettings()
    schedule = staticmethod(warmup_then_cosine)
    held_out = 5000

    def __init__(self, seed: int, steps: int, accelerator: Any = None, settings: DigitsGanSettings | None = None):
        super().__init__(seed, steps, accelerator, settings)
        s, betas = self.settings, (0.0, 0.99)  # no momentum: the other side has moved by then
        self.digits = data.load("glyphs", count=s.pictures, seed=seed + 1001)
        self.labels = torch.as_tensor(self.digits.labels)
        self.generator = self.add(
            "generator", self.make_generator, s.learning_rate, decay=s.decay, betas=betas, weight_decay=0.0
        )
        self.critic = self.add(
            "critic", lambda: ConvDiscriminator(CLASSES), s.learning_rate, betas=betas, weight_decay=0.0
        )

    @staticmethod
    def make_generator() -> ConvGenerator:
        return ConvGenerator(classes=CLASSES)

    def learn(self) -> dict[str, Tensor]:
        s, draw = self.settings, random_numbers(self.seed, self.done)
        rows = torch.randint(len(self.digits), (s.batch,), generator=draw)
        noise = torch.randn(2, s.batch, self.generator.network.latent_dim, generator=draw)
        real, labels = self.shard(self.digits.images[rows]), self.shard(self.labels[rows])
        first, second = (self.shard(z) for z in noise)

        with torch.no_grad():  # the generator is not to learn from this loss
            fake = self.generator.network(first, labels)
        both = self.critic.wrapped(torch.cat([real, fake]), torch.cat([labels, labels]))
        judged = losses.non_saturating_discriminator_loss(*both.chunk(2))
        penalty = losses.r1_penalty(lambda images: self.critic.wrapped(images, labels), real)
        self.update(self.critic, judged + s.r1_weight * penalty, clip=None)

        judge = self.critic.network.requires_grad_(False)  # bare: this step must not touch its gradients
        fooled = losses.non_saturating_generator_loss(None, judge(self.generator.wrapped(second, labels), labels))
        judge.requires_grad_(True)
        self.update(self.generator, fooled, clip=None)
        return {"judged": judged, "fooled": fooled}

    def finish(self, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
        network = settle(self.generator.finished())
        about = {
            "what": "A generator of rendered digits, 28x28 and grey, that is told which digit: the site's page for "
            "painting in the browser runs it.",
            "network": {"class": "ConvGenerator", "arguments": {"classes": CLASSES}},
            "data": f"glyphs, the course's own rendered digits: {self.settings.pictures:,}",
            "metrics": measure(network, self.held_out),
        }
        return zoo.store(self.name, network.half(), about | facts, folder)


def settle(network: ConvGenerator) -> ConvGenerator:
    """``network`` rounded to 16 bits, as in the file, with batch norms that know what the rounded layers give."""
    draw = random_numbers(UNSEEN, 0)
    noise = torch.randn(10, 500, network.latent_dim, generator=draw)
    labels = torch.randint(CLASSES, (10, 500), generator=draw)
    network.half().float()
    measure_batch_norms(network, list(zip(noise, labels, strict=True)))
    return network.half().float()


@torch.no_grad()
def measure(generator: Any, count: int) -> dict[str, Any]:
    """Fréchet distance to fresh digits beside that of other fresh ones, and the share that is read as asked."""
    real, others = (data.load("glyphs", count=count, seed=UNSEEN + i) for i in range(2))
    labels = torch.as_tensor(real.labels)
    z = torch.randn(count, generator.latent_dim, generator=torch.Generator().manual_seed(UNSEEN))
    made = torch.cat([generator(a, b) for a, b in zip(z.split(500), labels.split(500), strict=True)])
    reader: Any = zoo.load("glyphs_classifier")
    features = [metrics.extract_features(images, reader.features) for images in (real.images, others.images, made)]
    share = metrics.class_agreement(made, labels, reader)
    return {
        "frechet": round(metrics.frechet_distance(features[0], features[2]), 3),
        "frechet_floor": round(metrics.frechet_distance(features[0], features[1]), 3),
        "read_as_asked": round(share, 4),
        "read_as_asked_95_interval": [round(end, 4) for end in metrics.share_interval(share, count)],
    }
