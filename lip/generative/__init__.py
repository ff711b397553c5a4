"""Pre-trained generators as image priors (paper, section 4.5): adversarial tuning, and recovery by the latent code.

A *generator* G turns a latent code z into a face; a *critic* scores faces. Tickets are found by tuning G against the
critic, pruning the smallest weights of G and going back to the pre-trained weights. A degraded face is recovered by
fitting z, with G frozen.
"""
