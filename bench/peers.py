"""Two well-known GANs for 28x28 pictures, written for the benchmark: what the course's recipe is measured against.

They get what ours gets where that changes no mathematics: all pictures in memory, the fused optimiser, no logging. So
the difference that the benchmark shows is one of recipes, not of plumbing. Neither has a moving average. (Keeping maps
pixel by pixel, as ours does, makes this DCGAN no faster.)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_course import data
from gan_course.losses import LOSSES, gradient_penalty

LATENT_DIM = 100
BATCH = 64


class PlainDCGAN:
    """The DCGAN of the literature (arXiv 1511.06434, section 3 and "Details of adversarial training").

    Transposed and strided convolutions of kernel 4, batch norm everywhere but in the generator's last and the
    discriminator's first layer, ReLU and LeakyReLU 0.2, weights from N(0, 0.02), Adam with rate 2e-4 and beta1 0.5,
    cross-entropy. The paper's 64x64 become 28x28 by leaving out two of the four stages; batches of 64, normal noise,
    and one batch of fakes for both players are what the usual scripts have.
    """

    latent_dim = LATENT_DIM
    pictures = BATCH  # real ones that a step uses

    def __init__(self, images: Tensor, seed: int = 0):
        self.images = images
        self.random = torch.Generator().manual_seed(seed)
        self.generator = nn.Sequential(
            nn.Linear(LATENT_DIM, 128 * 7 * 7, bias=False),
            nn.Unflatten(1, (128, 7, 7)),
            *(nn.BatchNorm2d(128), nn.ReLU()),
            *(nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1, bias=False), nn.Tanh()),
        )
        self.discriminator = nn.Sequential(
            *(nn.Conv2d(1, 64, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)),
            *(nn.Conv2d(64, 128, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2)),
            *(nn.Flatten(), nn.Linear(128 * 7 * 7, 1), nn.Flatten(0)),
        )
        for network in (self.generator, self.discriminator):
            network.apply(dcgan_weights)
        self.loss = LOSSES["non_saturating"]
        self.generator_optimizer = adam(self.generator)
        self.discriminator_optimizer = adam(self.discriminator)

    def step(self) -> None:
        """One step of each player."""
        real = data.draw(self.images, BATCH, self.random)
        fake = self.generator(torch.randn(BATCH, LATENT_DIM, generator=self.random))
        loss = self.loss.discriminator(self.discriminator(real), self.discriminator(fake.detach()))
        learn(self.discriminator, self.discriminator_optimizer, loss)
        learn(self.generator, self.generator_optimizer, self.loss.generator(None, self.discriminator(fake)))

    def sample(self, noise: Tensor) -> Tensor:
        """Pictures ``[N, 1, 28, 28]`` in ``[-1, 1]`` for ``noise [N, 100]``."""
        return sample(self.generator, noise)


class WassersteinMLP:
    """WGAN-GP (arXiv 1704.00028, algorithm 1) with the fully connected networks that scripts for MNIST usually have.

    Generator 100-128-256-512-1024-784 with LeakyReLU 0.2, batch norm from the second hidden layer on, and tanh; critic
    784-512-256-1 without norms, as the paper asks. Gradient penalty of weight 10, five critic steps to one of the
    generator, each with real pictures of its own. Adam's rate 2e-4 and betas (0.5, 0.999) are those scripts' too; the
    paper has 1e-4 and (0, 0.9).
    """

    latent_dim = LATENT_DIM
    critic_steps = 5
    penalty_weight = 10.0
    pictures = critic_steps * BATCH  # real ones that a step uses

    def __init__(self, images: Tensor, seed: int = 0):
        self.images = images
        self.random = torch.Generator().manual_seed(seed)
        self.generator = nn.Sequential(
            *(nn.Linear(LATENT_DIM, 128), nn.LeakyReLU(0.2)),
            *(nn.Linear(128, 256), nn.BatchNorm1d(256), nn.LeakyReLU(0.2)),
            *(nn.Linear(256, 512), nn.BatchNorm1d(512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 1024), nn.BatchNorm1d(1024), nn.LeakyReLU(0.2)),
            *(nn.Linear(1024, 28 * 28), nn.Tanh(), nn.Unflatten(1, (1, 28, 28))),
        )
        self.discriminator = nn.Sequential(
            *(nn.Flatten(), nn.Linear(28 * 28, 512), nn.LeakyReLU(0.2)),
            *(nn.Linear(512, 256), nn.LeakyReLU(0.2)),
            *(nn.Linear(256, 1), nn.Flatten(0)),
        )
        self.loss = LOSSES["wasserstein"]
        self.generator_optimizer = adam(self.generator)
        self.discriminator_optimizer = adam(self.discriminator)

    def step(self) -> None:
        """Five steps of the critic and one of the generator."""
        for _ in range(self.critic_steps):
            self.critic_step()
        fake = self.generator(torch.randn(BATCH, LATENT_DIM, generator=self.random))
        learn(self.generator, self.generator_optimizer, self.loss.generator(None, self.discriminator(fake)))

    def critic_step(self) -> None:
        real = data.draw(self.images, BATCH, self.random)
        with torch.no_grad():
            fake = self.generator(torch.randn(BATCH, LATENT_DIM, generator=self.random))
        loss = self.loss.discriminator(self.discriminator(real), self.discriminator(fake))
        penalty = gradient_penalty(self.discriminator, real, fake, self.random)
        learn(self.discriminator, self.discriminator_optimizer, loss + self.penalty_weight * penalty)

    def sample(self, noise: Tensor) -> Tensor:
        """Pictures ``[N, 1, 28, 28]`` in ``[-1, 1]`` for ``noise [N, 100]``."""
        return sample(self.generator, noise)


def adam(network: nn.Module) -> torch.optim.Optimizer:
    """Adam as both peers have it: DCGAN's settings."""
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True)


def learn(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of ``optimizer`` down ``loss``, for the weights of ``network`` alone."""
    optimizer.zero_grad()
    loss.backward(inputs=list(network.parameters()))
    optimizer.step()


def dcgan_weights(layer: nn.Module) -> None:
    """Weights from N(0, 0.02); the scales of batch norms from N(1, 0.02)."""
    if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


@torch.no_grad()
def sample(generator: nn.Module, noise: Tensor) -> Tensor:
    """What ``generator`` makes of ``noise``, with the batch norms' running statistics."""
    generator.eval()
    images = generator(noise)
    generator.train()
    return images
