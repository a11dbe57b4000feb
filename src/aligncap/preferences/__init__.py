"""Human preferences: candidate captions, judges of them, and pairs of a chosen and a rejected caption."""
