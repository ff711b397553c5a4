"""What the paper reports, shown beside what we measure.

Chasing Better Deep Image Priors between Over- and Under-parameterization (TMLR 2023, arXiv 2410.24187). Its PSNRs are
oracle peaks of the averaged outputs against the clean image, so they compare with our column "oracle peak" only.
"""

from __future__ import annotations

# Fig 3. Rounds 9 and 8; the paper rounds 83.22 to 83.23
MATCHING_ROUND = 9
MATCHING = "IMP tickets match up to 86.58 % on the observation, 83.23 % when trained again from the mask (Fig. 3)"
BEATS_ROUNDS = range(1, 15)
BEATS_RANDOM = "IMP beats random pruning from 20 to 96 % (Fig. 3)"
BEATS_SNIP = "IMP beats SNIP from 20 to 96 % (Fig. 3)"

# Table 4: image F16. The levels are not rounds of IMP
TABLE_4 = {
    # sparsity in %: (LIP, SynFlow), dB
    0: (31.06, 31.06),
    20: (31.15, 31.05),
    40: (31.11, 30.62),
    50: (31.12, 30.54),
    60: (31.13, 30.59),
    70: (31.11, 30.41),
    80: (31.03, 30.11),
    90: (30.91, 28.98),
}

# Fig 14. "Below 0.6 M parameters" begins at round 6 (588,078)
FOREIGN = "masks of other images serve about as well as native ones (Fig. 14)"
FOREIGN_LOW_ROUNDS = range(1, 3)
FOREIGN_LOW = "foreign masks are slightly worse at 0 to 40 % (Fig. 14)"
FOREIGN_HIGH_FROM = 6
FOREIGN_HIGH = "foreign masks are about equal below 0.6 M parameters, 74 % and more (Fig. 14)"

# Fig 7
LAYER_ROUNDS = (2, 4, 10, 13)
LAYERS_IMP = "LIP keeps early layers and prunes late ones (Fig. 7)"
LAYERS_SNIP = "SNIP keeps late layers and prunes early ones (Fig. 7)"
LAYERS_RANDOM = "random pruning is flat over layers (Fig. 7)"
LAYERS_RESERVATION = (
    "The authors' released script adds up zeros over layers where the figure says per layer, so what the paper reads"
    " off its figure needs this re-check."
)

# Fig 9
REWINDING_NO_GAIN = "rewinding to 5 % of training gains nothing over θ₀ (Fig. 9)"
REWINDING_HURTS = "rewinding to 10 or 20 % of training hurts or fails (Fig. 9)"

# Fig 13
STOP_RULE = "once the loss has risen two or three times in a row, the matching ticket is found (Fig. 13)"
