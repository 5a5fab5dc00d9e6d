"""Learn GANs, and what Stable Diffusion really is, by running them.

The notebooks in ``chapters/`` are the course. This package holds their plumbing, in floors: a module imports from
floors below it, never above.

=====  ==================================================  ==========================================
floor  modules                                             holds
=====  ==================================================  ==========================================
4      ``cli``, ``instructor``                             commands for people who run the course
3      ``checks``                                          instant feedback on exercises
3      ``widgets``                                         interactive figures
2      ``training``, ``diagnosis``                         the training loop, what its log says
2      ``diffusion``, ``latent``                           noise and back; text to image, asked and measured
2      ``distill``                                         many steps taught to a copy that takes one
2      ``recipes``, ``ablation``                           how shipped weights and tables are made
2      ``long_recipes``, ``latent_training``               how the mini Stable Diffusion is made
2      ``long_runs``                                       long trainings on one process or several
1      ``metrics``, ``zoo``                                measures, small trained networks
1      ``networks``, ``losses``, ``plots``                 parts
1      ``attributes``, ``latent_networks``                 what glyphs show; Stable Diffusion's classes, small
1      ``attention``                                       which word was looked at where
1      ``costs``                                           facts about the market, unit economics, operations
0      ``data``, ``setup``                                 data sets; device, seed, profile
=====  ==================================================  ==========================================

Importing the package itself loads nothing: import the module you need, ``from gan_course import losses``.
"""

__version__ = "0.1.0"
