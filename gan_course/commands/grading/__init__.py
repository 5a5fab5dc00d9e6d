"""What ``gan-course grade`` is made of.

``player`` runs a student's code in a sandbox (``isolation``) and answers calls. ``judge`` runs the course's own graded
cells outside of it, with a stand-in (``remote``) for each of the student's functions. Between them go plain values
(``wire``), never a pickle of the student's. ``submissions`` reads what came in, ``tables`` writes what comes out.
"""
