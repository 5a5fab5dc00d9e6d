"""Learn GANs, and what Stable Diffusion really is, by running them.

The notebooks in ``chapters/`` are the course. This package holds their plumbing, in floors: a module imports from
floors below it, never above.

=====  ============================================================  ==========================================
floor  modules                                                       holds
=====  ============================================================  ==========================================
7      ``cli``, ``commands``                                         commands for people who run the course
6      ``recipes``                                                   how each network in the zoo is trained
6      ``widgets``                                                   interactive figures
5      ``stable_diffusion``                                          ask it, measure it, look inside, distil it
5      ``checks``                                                    instant feedback on exercises
4      ``metrics``                                                   measured figures
4      ``style``                                                     chapter 10: restyle a photograph
3      ``training``, ``diagnosis``                                   the adversarial loop, what its log says
3      ``zoo``                                                       weights and their cards
2      ``unet``, ``classifiers``, ``translators``                    larger networks
2      ``panorama``                                                  chapter 13: places to look around in
2      ``augment``                                                   chapter 11's many small runs side by side
2      ``video``                                                     chapter 12: clips, their network, MP4
2      ``costs``, ``ledger``                                         figures of chapters 14 and 15, checked
2      ``live``, ``settings``                                        progress; what a training is set up with
1      ``networks``, ``losses``, ``diffusion``                       parts and formulas
1      ``files``, ``checkpoints``, ``naming``, ``plots``             whole-file writes; did you mean; figures
1      ``data``, ``setup``                                           data sets; device, seed, profile
1      ``arguments``                                                 what functions take, and what they refuse
1      ``language``, ``fonts``                                       messages in the reader's language, its letters
=====  ============================================================  ==========================================

Importing the package itself loads nothing: import the module you need, ``from gan_course import losses``.
"""

__version__ = "0.1.0"
