"""Chapter 12: clips of moving glyphs, a network that makes such clips, what is measured on them, and files of them."""
