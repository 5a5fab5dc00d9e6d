"""Write the opening page's film: ``python docs/images/film.py`` in the course folder, half a minute of training."""

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from bench.speed import chapter00_networks
from gan_course import data
from gan_course.training import Trainer

STATIC = Path(__file__).parents[1] / "static"
ROWS, COLUMNS, SIDE = 4, 16, 40  # 64 pictures, each of 8x8 pixels and a white rim drawn at 40x40
LAST = 5000


def frame(pictures: Tensor) -> Image.Image:
    """``[N, 1, 8, 8]`` in [-1, 1] → one grey picture of all of them, dark strokes on white."""
    apart = F.pad(pictures.clamp(-1, 1), (1, 1, 1, 1), value=-1.0)
    grid = apart.unflatten(0, (ROWS, COLUMNS)).permute(0, 3, 1, 4, 2).reshape(ROWS * 10, COLUMNS * 10)
    values = ((1 - grid) * 127.5).round().byte().numpy()
    return Image.fromarray(values).resize((COLUMNS * SIDE, ROWS * SIDE), Image.Resampling.BICUBIC)


def main() -> None:
    torch.manual_seed(0)
    trainer = Trainer(*chapter00_networks(), data.load("digits").images)
    noise = torch.randn(3, ROWS * COLUMNS, trainer.generator.latent_dim)
    frames, times = [], []
    for stop in sorted({0, *(round(LAST ** (i / 44)) for i in range(10, 45))}):  # few steps first, then ever more
        while trainer.steps < stop:
            trainer.step()
        frames.append(frame(trainer.sample(noise[0])))
        times.append(120)
    still = frames[-1]
    times[0], times[-1] = 700, 1500
    for start, end in ((0, 1), (1, 2), (2, 0)):  # then a walk through the latent space and back
        for i in range(1, 11):
            angle = torch.tensor(i / 10) * torch.pi / 2
            frames.append(frame(trainer.sample(noise[start] * angle.cos() + noise[end] * angle.sin())))
            times.append(90)
        times[-1] = 900
    STATIC.mkdir(exist_ok=True)
    still.save(STATIC / "digits_still.webp", quality=70)
    frames[0].save(
        STATIC / "digits.webp", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=45, method=6
    )


if __name__ == "__main__":
    main()
