"""Learn GANs, and what Stable Diffusion really is, by running them.

The notebooks in ``chapters/`` are the course. This package holds their plumbing, in floors: a module imports from
floors below it, never above.

=====  ==================================================  ==========================================
floor  modules                                             holds
=====  ==================================================  ==========================================
4      ``cli``, ``instructor``                             commands for people who run the course
3      ``checks``                                          instant feedback on exercises
2      ``training``                                        the training loop, checkpoints
1      ``networks``, ``losses``, ``metrics``, ``plots``    parts
0      ``data``, ``setup``                                 data sets; device, seed, profile
=====  ==================================================  ==========================================

Importing the package itself loads nothing: import the module you need, ``from gan_course import losses``.
"""

__version__ = "0.1.0"
