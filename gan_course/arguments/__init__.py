"""What functions take: one converter for each kind of argument, in front of every public function of the course.

A converter gets an argument's name and value. What is exactly meant, it returns as the function wants it: whole numbers
may be ``np.int64(3)`` or ``3.0``, tensors may be arrays or lists, one string stands for a list of one. All else it
refuses with a ``ValueError`` in one sentence: name, value, type, remedy. ``True`` is no number, and ``"3"`` is none.

Signatures name the kinds, ``def draw(images: Rows, batch_size: Count)``; :func:`guard`, called at the end of a module,
puts the converters in front, so that the bodies stay as the chapters print them. Only types, shapes and plain numbers
are looked at, because to look into a tensor would make a training step wait for the GPU. The kinds for borders, such
as pictures to measure, do look.
"""

from gan_course.arguments.kinds import *  # noqa: F403  the kinds, by name
from gan_course.arguments.signatures import check_alike as check_alike
from gan_course.arguments.signatures import checked as checked
from gan_course.arguments.signatures import guard as guard
