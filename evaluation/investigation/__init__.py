"""How well the investigating agent judges flagged transactions whose truth is known: `make eval-investigation`."""
