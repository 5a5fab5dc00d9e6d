"""Adversarial distillation: a text-to-image model of many steps teaches a copy of itself to do it in one.

The student starts as a copy of the teacher's U-Net. Two losses teach it: a discriminator that looks through the frozen
teacher's eyes (LADD, arXiv 2403.12015), and the teacher's own opinion of its pictures (ADD, arXiv 2311.17042). How much
each contributes, chapter 09 measures: on these captions nearly all comes from the second.
Latents are ``[N, C, 8, 8]``, words the text encoder's ``[N, tokens, width]``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from gan_course import latent, losses, zoo
from gan_course.attributes import draw_attributes, phrase
from gan_course.data.captions import Attributes
from gan_course.diffusion import predicted_x0
from gan_course.latent_training import encode
from gan_course.long_runs import Run, random_numbers

STUDENT = "mini_student"

# ------------------------------------------------------------------------------------------ one step


def clean_view(unet: Any, scheduler: Any, noisy: Tensor, timesteps: Tensor, words: Tensor) -> Tensor:
    """The clean latents that ``unet`` sees behind the ``noisy`` ones at ``timesteps [N]``: its guess of x0."""
    output = unet(noisy, timesteps, encoder_hidden_states=words).sample
    return predicted_x0(noisy, output, timesteps, scheduler.alphas_cumprod, scheduler.config.prediction_type)


def one_step(unet: Any, scheduler: Any, noise: Tensor, words: Tensor) -> Tensor:
    """From pure ``noise [N, C, H, W]`` to clean latents with one call of ``unet``, at the last timestep."""
    last = torch.full((len(noise),), scheduler.config.num_train_timesteps - 1, device=noise.device)
    return clean_view(unet, scheduler, noise, last, words)


def guided_view(
    unet: Any, scheduler: Any, noisy: Tensor, timesteps: Tensor, words: Tensor, empty: Tensor, guidance: float
) -> Tensor:
    """As :func:`clean_view`, with classifier-free guidance: ``empty`` holds the words of the empty prompt."""
    twice = torch.cat([noisy, noisy]), torch.cat([timesteps, timesteps]), torch.cat([empty, words])
    without, told = clean_view(unet, scheduler, *twice).chunk(2)
    return without + guidance * (told - without)


def from_the_end(pipeline: Any, unet: Any = None) -> Any:
    """``pipeline`` with steps that begin at the schedule's very last timestep and end at clean latents.

    Diffusers' usual spacing starts short of the end: of 25 steps that costs little, but a single one would start at
    timestep 1. ``unet``, such as a student, takes the place of the pipeline's own. Networks are shared, not copied.
    """
    scheduler = pipeline.scheduler
    changed = scheduler.from_config(scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True)
    parts = {**pipeline.components, "scheduler": changed, "unet": pipeline.unet if unet is None else unet}
    other = type(pipeline)(**parts, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


@torch.no_grad()
def read_words(pipeline: Any, prompts: Sequence[str]) -> Tensor:
    """What the text encoder makes of ``prompts``: ``[N, tokens, width]``."""
    ids = pipeline.tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids
    return pipeline.text_encoder(ids.to(pipeline.text_encoder.device))[0]


# ------------------------------------------------------------------------------------------ the discriminator


def features(unet: Any, noisy: Tensor, timesteps: Tensor, words: Tensor) -> list[Tensor]:
    """What the first half of ``unet`` computes on its way: a map ``[N, F, H, W]`` from each of its levels.

    Those of the first convolution, of each down block's layers and of the middle block. The ``words`` have their say
    through the U-Net's own cross-attention.
    """
    time = unet.time_embedding(unet.get_time_embed(sample=noisy, timestep=timesteps))
    x = unet.conv_in(noisy)
    maps = [x]
    for block in unet.down_blocks:
        if getattr(block, "has_cross_attention", False):
            x, found = block(hidden_states=x, temb=time, encoder_hidden_states=words)
        else:
            x, found = block(hidden_states=x, temb=time)
        maps.extend(found)
    return [*maps, unet.mid_block(x, time, encoder_hidden_states=words)]


def feature_widths(unet: Any) -> list[int]:
    """The number of channels of each map in :func:`features`."""
    config = unet.config
    side = config.sample_size
    noisy = torch.zeros(1, config.in_channels, side, side, device=unet.device)
    words = torch.zeros(1, 1, config.cross_attention_dim, device=unet.device)
    with torch.no_grad():
        return [x.shape[1] for x in features(unet, noisy, torch.zeros(1, device=unet.device), words)]


class Heads(nn.Module):
    """A small network on each map of features, to be trained: is this place of a real picture's latents?

    ``forward(maps)`` returns all logits side by side: ``[N, places]``.
    """

    def __init__(self, widths: Sequence[int], width: int = 48):
        super().__init__()
        self.each = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, inputs),
                *(nn.Conv2d(inputs, width, 3, padding=1), nn.LeakyReLU(0.2)),
                nn.Conv2d(width, 1, 1),
            )
            for inputs in widths
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        # contiguous: PyTorch 2.13 crashes in the gradient of this GroupNorm where the channels come last
        return torch.cat([head(x.contiguous()).flatten(1) for head, x in zip(self.each, maps, strict=True)], dim=1)


# ------------------------------------------------------------------------------------------ the losses


def distillation_loss(made: Tensor, seen: Tensor, kept: Tensor) -> Tensor:
    """The squared distance of ``made`` from what the teacher sees in it, weighted by ``√kept`` (ADD, equation 4).

    ``made [N, C, H, W]``: the student's clean latents; ``seen``: the teacher's, after noise was added, which are no
    path for gradients; ``kept [N]``: ᾱ, the share of power that the noise has left.
    """
    return (kept.sqrt() * (made - seen.detach()).square().mean(dim=(1, 2, 3))).mean()


@dataclass(frozen=True)
class StudentSettings:
    pictures: int = 20_000
    batch: int = 32
    learning_rate: float = 3e-4
    heads_learning_rate: float = 1e-3
    decay: float = 0.995  # of the moving average, which is what ships
    distillation: float = 1.0  # its weight beside the adversarial loss; 0 leaves it out
    guidance: float = 3.0  # with which the teacher looks at the student's pictures
    judged_up_to: float = 0.75  # the share of the schedule from which the discriminator's noise is drawn,
    taught_up_to: float = 0.75  # and the teacher's
    shortened: float = 0.2  # how often a caption may lose size, colour, background or position,
    left_out: float = 0.4  # and how often it then loses each
    width: int = 48  # of a head


class StudentRun(Run):
    """Adversarial distillation of a pipeline's U-Net into one step. The pipeline's networks stay as they are."""

    def __init__(
        self,
        seed: int,
        steps: int,
        teacher: Any,
        accelerator: Accelerator | None = None,
        settings: StudentSettings = StudentSettings(),
    ):
        super().__init__(seed, steps, accelerator)
        self.settings, self.teacher, self.scheduler = settings, teacher, teacher.scheduler
        for network in (teacher.unet, teacher.text_encoder, teacher.vae):
            network.requires_grad_(False).eval()
        teacher.unet.to(self.accelerator.device, memory_format=torch.channels_last)
        self.records = draw_attributes(settings.pictures, seed=seed + 2)
        self.means, self.spreads = encode(teacher.vae, self.records, seed=seed + 2)
        teacher.text_encoder.to(self.accelerator.device)
        self.empty = read_words(teacher, [""])
        betas = (0.0, 0.99)  # no momentum: the other side has moved by then

        def copied() -> nn.Module:
            return copy.deepcopy(teacher.unet).requires_grad_(True).train()

        self.student = self.add("student", copied, settings.learning_rate, settings.decay, betas, weight_decay=0.0)
        self.heads = self.add(
            "heads",
            lambda: Heads(feature_widths(teacher.unet), settings.width),
            settings.heads_learning_rate,
            betas=betas,
            weight_decay=0.0,
        )

    def learn(self) -> dict[str, Tensor]:
        s, unet, scheduler = self.settings, self.teacher.unet, self.scheduler
        draw = random_numbers(self.seed, self.done)
        rows = torch.randint(s.pictures, (s.batch,), generator=draw)
        shape = (s.batch, *self.means.shape[1:])
        real = self.means[rows] + self.spreads[rows] * torch.randn(shape, generator=draw)
        noise, real_noise, fake_noise, taught_noise = torch.randn(4, *shape, generator=draw)
        captions = self.write([self.records[row] for row in rows.tolist()], draw)
        real, noise, real_noise, fake_noise, taught_noise = map(
            self.mine, (real, noise, real_noise, fake_noise, taught_noise)
        )
        judged, taught = self.mine(self.times(s.judged_up_to, draw)), self.mine(self.times(s.taught_up_to, draw))
        words = self.mine(read_words(self.teacher, captions))

        made = one_step(self.student.wrapped, scheduler, noise, words)
        heads = self.heads.network.requires_grad_(False)  # bare: this step must not touch its gradients
        fake_maps = features(unet, scheduler.add_noise(made, fake_noise, judged), judged, words)
        fooled = losses.hinge_generator_loss(None, heads(fake_maps))
        heads.requires_grad_(True)
        with torch.no_grad():
            noisy = scheduler.add_noise(made, taught_noise, taught)
            empty = self.empty.expand(len(words), -1, -1)
            seen = guided_view(unet, scheduler, noisy, taught, words, empty, s.guidance)
            real_maps = features(unet, scheduler.add_noise(real, real_noise, judged), judged, words)
        apart = distillation_loss(made, seen, scheduler.alphas_cumprod[taught.cpu()].to(made))
        self.update(self.student, fooled + s.distillation * apart)

        both = [torch.cat([a, b.detach()]) for a, b in zip(real_maps, fake_maps, strict=True)]
        real_logits, fake_logits = self.heads.wrapped(both).chunk(2)
        found = losses.hinge_discriminator_loss(real_logits, fake_logits)
        self.update(self.heads, found)
        return {"found": found, "fooled": fooled, "apart": apart}

    def times(self, up_to: float, draw: torch.Generator) -> Tensor:
        """A timestep for each picture of the batch, below that share of the schedule, evenly spread."""
        n = self.settings.batch
        part = (torch.randperm(n, generator=draw) + torch.rand(n, generator=draw)) / n
        return (up_to * part * self.scheduler.config.num_train_timesteps).long()

    def write(self, records: Sequence[Attributes], draw: torch.Generator) -> list[str]:
        """A caption each, in full or shortened."""
        s, captions = self.settings, []
        for record, chance in zip(records, torch.rand(len(records), 5, generator=draw).tolist(), strict=True):
            optional = ("size", "colour", "background", "position")
            leave_out = [name for name, c in zip(optional, chance[1:], strict=True) if c < s.left_out]
            captions.append(phrase(record, leave_out if chance[0] < s.shortened else ()))
        return captions


# ------------------------------------------------------------------------------------------ the trained student


def edge_energy(images: Tensor) -> float:
    """How much neighbouring pixels of ``images [N, C, H, W]`` differ, squared: less for a blur than for a render."""
    across, down = images[..., 1:] - images[..., :-1], images[..., 1:, :] - images[..., :-1, :]
    return (across.square().mean() + down.square().mean()).item()


def load_student(folder: Path = zoo.FOLDER, device: str = "cpu") -> Any:
    """The student of the zoo, a ``UNet2DConditionModel`` with weights of 32 bits (on the disk they have 16).

    Put it into a pipeline with :func:`from_the_end`, and ask that for ``steps=1, guidance=1``. Raises ``ValueError``
    and ``FileNotFoundError`` as :func:`gan_course.zoo.check_files`.
    """
    zoo.check_files(STUDENT, folder)
    with latent.quietly():
        from diffusers import UNet2DConditionModel

        student = UNet2DConditionModel.from_pretrained(
            folder / STUDENT, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
        )
    return student.eval().requires_grad_(False).to(device)
