"""The one exception that the command line turns into a sentence instead of a traceback."""


class CourseError(Exception):
    """Something the user can put right: one sentence with what is wrong, which value, and what to do next."""
