"""The paper's claims as statements that can be tested, and our own hypotheses beside them.

Chasing Better Deep Image Priors between Over- and Under-parameterization (TMLR 2023, arXiv 2410.24187). Each threshold
was written down before the fits it judges were run. Where the paper names no tolerance, 0.1 dB counts as equal. What is
said of PSNR is judged three times: by the oracle peak, which the paper's figures show, by the last output and by the
reference-free stop ES-WMV.
"""

from __future__ import annotations

from analysis import paper
from analysis.stats import EQUAL, HARM, MATCHING, NEGATIVE, NO_GAIN, POSITIVE, Claim, Region

SAME_ERROR = 10.0
"""A mean squared error up to this many percent above the dense generator's counts as equal: the paper's tickets stay
within 2.6, its random pruning begins at 26."""

NO_TREND = 0.3
"""A rank correlation within this of zero counts as flat: over 26 layers, chance alone has standard deviation 0.2."""

OWN = "not in the paper"

CLAIMS: dict[str, Claim] = {
    # Fig. 3
    "matching": Claim(
        "existence",
        "IMP tickets match the dense prior up to 86.58 %",
        "matching up to 86.58 % on the observation (Fig. 3 a-d)",
        "PSNR less that of the dense prior, at the worst round up to 86.58 %",
        MATCHING,
        rounds=paper.MATCHING_ROUNDS,
    ),
    "matching_again": Claim(
        "existence",
        "IMP tickets match the dense prior up to 83.22 %, trained again from their masks",
        "matching up to 83.23 % with the found masks (Fig. 3 e-h)",
        "PSNR less that of the dense prior, at the worst round up to 83.22 %; masks are found on the observation, so"
        " that a fit of IMP and the one that evaluates its mask are the same",
        MATCHING,
        rounds=paper.AGAIN_ROUNDS,
    ),
    "beats_random": Claim(
        "existence",
        "IMP tickets beat random pruning from 20 to 96 %",
        "better than random pruning on 20-96 % (Fig. 3)",
        "PSNR less that of random pruning, mean over rounds 1 to 14",
        POSITIVE,
        rounds=paper.BEATS_ROUNDS,
    ),
    "beats_snip": Claim(
        "existence",
        "IMP tickets beat SNIP from 20 to 96 %",
        "better than SNIP on 20-96 % (Fig. 3)",
        "PSNR less that of SNIP, mean over rounds 1 to 14",
        POSITIVE,
        rounds=paper.BEATS_ROUNDS,
    ),
    # Fig. 4
    "multi_dense": Claim(
        "multi",
        "tickets of several images beat the dense prior up to 86.58 %",
        "across domains, multi-image tickets beat the dense prior (Fig. 4)",
        "PSNR less that of the dense prior, mean over rounds 1 to 9",
        POSITIVE,
        rounds=paper.MATCHING_ROUNDS,
    ),
    "multi_random": Claim(
        "multi",
        "tickets of several images beat random pruning from 20 to 96 %",
        "across domains, multi-image tickets beat random pruning (Fig. 4)",
        "PSNR less that of random pruning, mean over rounds 1 to 14",
        POSITIVE,
        rounds=paper.BEATS_ROUNDS,
    ),
    "multi_own": Claim(
        "multi",
        "tickets of several images match an image's own up to 86.58 %",
        "they equal the image's own tickets (Fig. 4)",
        "PSNR less that of the image's own ticket, mean over rounds 1 to 9",
        MATCHING,
        rounds=paper.MATCHING_ROUNDS,
    ),
    "multi_extreme": Claim(
        "multi",
        "tickets of several images beat an image's own from 94.5 % on",
        "and are better at extreme sparsity (Fig. 4)",
        "PSNR less that of the image's own ticket, mean over rounds from 13 on",
        POSITIVE,
    ),
    # Fig. 5
    "transfer": Claim(
        "transfer",
        "tickets found on another task match native ones",
        "transferred tickets are about equal to native ones (Fig. 5)",
        "PSNR less that of the native ticket, mean over tasks and rounds",
        MATCHING,
    ),
    "transfer_dense": Claim(
        "transfer",
        "tickets found on another task match the dense prior up to 86.58 %",
        "transferred tickets match the dense prior (Fig. 5)",
        "PSNR less that of the dense prior, mean over tasks and rounds 1 to 9",
        MATCHING,
        rounds=paper.MATCHING_ROUNDS,
    ),
    # Fig. 6
    "to_classify": Claim(
        "classification",
        "tickets of denoising classify worse than tickets of classification",
        "tickets do not transfer from restoration to classification (Fig. 6 a, c)",
        "accuracy less that of the classifier's own ticket, mean over rounds",
        NEGATIVE,
        "points",
    ),
    "to_classify_shuffled": Claim(
        "classification",
        "tickets of denoising classify no better than the same, shuffled in each layer",
        OWN,
        "accuracy less that with as many weights of every layer, but random ones, mean over rounds",
        Region(high=0),
        "points",
    ),
    "to_denoise": Claim(
        "classification",
        "tickets of classification denoise worse than tickets of denoising",
        "tickets do not transfer from classification to restoration (Fig. 6 b, d)",
        "PSNR less that of the image's own ticket, mean over rounds",
        NEGATIVE,
    ),
    "to_denoise_shuffled": Claim(
        "classification",
        "tickets of classification denoise no better than the same, shuffled in each layer",
        OWN,
        "PSNR less that with as many weights of every layer, but random ones, mean over rounds",
        Region(high=0),
    ),
    "classifier_layers": Claim(
        "classifier_layers",
        "tickets of classification keep the middle layers",
        "tickets found on CIFAR-10 keep the middle layers (Fig. 7 c, f)",
        "sparsity of the middle third of the layers less that of the others, mean over rounds",
        NEGATIVE,
        "points",
    ),
    # Fig. 7
    "layers_imp": Claim(
        "layers",
        "IMP prunes later layers more",
        "LIP keeps early layers and prunes late ones (Fig. 7)",
        "Spearman's correlation of a layer's sparsity with its number, mean over the figure's sparsities",
        POSITIVE,
        "ρ",
    ),
    "layers_snip": Claim(
        "layers",
        "SNIP prunes earlier layers more",
        "SNIP keeps late layers and prunes early ones (Fig. 7)",
        "Spearman's correlation of a layer's sparsity with its number, mean over the figure's sparsities",
        NEGATIVE,
        "ρ",
    ),
    "layers_random": Claim(
        "layers",
        "random pruning is flat over layers",
        "random pruning is flat over layers (Fig. 7)",
        "Spearman's correlation of a layer's sparsity with its number, mean over the figure's sparsities",
        Region(-NO_TREND, NO_TREND),
        "ρ",
    ),
    # Fig. 9
    "rewinding_gain": Claim(
        "rewinding",
        "rewinding to 5 % of training gains nothing over θ₀",
        "rewinding gains nothing (Fig. 9)",
        "PSNR less that of the ticket that starts at θ₀, mean over rounds",
        NO_GAIN,
    ),
    "rewinding_10": Claim(
        "rewinding",
        "rewinding to 10 % hurts",
        "rewinding to 10 or 20 % of training hurts or fails (Fig. 9)",
        "PSNR less that of the ticket that starts at θ₀, mean over rounds",
        HARM,
    ),
    "rewinding_20": Claim(
        "rewinding",
        "rewinding to 20 % hurts",
        "rewinding to 10 or 20 % of training hurts or fails (Fig. 9)",
        "PSNR less that of the ticket that starts at θ₀, mean over rounds",
        HARM,
    ),
    "rewinding_undo": Claim(
        "rewinding",
        "the way the released code undoes steps makes late rewinding hurt",
        OWN,
        "what rewinding costs with steps undone as released, less what it costs without, mean over rounds",
        HARM,
    ),
    # Fig. 10
    "impedance_noise": Claim(
        "impedance",
        "tickets of 89 % resist noise more than the dense prior",
        "LIP has more impedance to noise than the dense prior (Fig. 10)",
        "final loss over that of the dense prior, mean over shuffled pixels and white noise",
        POSITIVE,
    ),
    "impedance_signal": Claim(
        "impedance",
        "tickets of 89 % resist a clean image less than the dense prior",
        "LIP has less impedance to signal than the dense prior (Fig. 10)",
        "final loss on the clean image over that of the dense prior",
        NEGATIVE,
    ),
    "impedance_snip": Claim(
        "impedance",
        "SNIP at 89 % is like the dense prior",
        "SNIP behaves like the dense prior (Fig. 10)",
        "final loss over that of the dense prior, mean over the four targets",
        Region(-1, 1),
    ),
    "impedance_random": Claim(
        "impedance",
        "random pruning at 89 % fails on every target",
        "random pruning fails everywhere (Fig. 10)",
        "final loss over that of the dense prior, mean over the four targets; 3 dB is twice the loss",
        Region(low=3),
    ),
    # Fig. 11
    "curves_snip": Claim(
        "curves",
        "SNIP falls behind tickets at 89 and 95 %",
        "SNIP falls behind by up to 3 dB (Fig. 11)",
        "PSNR of the ticket less that of SNIP, mean over both sparsities",
        Region(low=1),
        rounds=paper.CURVE_ROUNDS,
    ),
    "curves_dense": Claim(
        "curves",
        "tickets of 89 and 95 % reach the dense prior",
        "LIP alone reaches the dense prior at the last step (Fig. 11)",
        "PSNR less that of the dense prior, mean over both sparsities",
        MATCHING,
        rounds=paper.CURVE_ROUNDS,
    ),
    # Fig. 13
    "stop_before": Claim(
        "stop_rule",
        "the ticket before the loss rises three times in a row matches the dense prior",
        "once the loss has risen two or three times in a row, the matching ticket is found (Fig. 13)",
        "PSNR of the ticket that the rule picks less that of the dense prior, mean over tasks",
        MATCHING,
    ),
    "stop_at": Claim(
        "stop_rule",
        "the ticket at which the loss has risen three times in a row matches the dense prior",
        "once the loss has risen two or three times in a row, the matching ticket is found (Fig. 13)",
        "PSNR of the ticket that the rule picks less that of the dense prior, mean over tasks",
        MATCHING,
    ),
    # Fig. 14
    "foreign_low": Claim(
        "images",
        "tickets of another image are worse than own ones at 20 to 36 %",
        "foreign tickets are slightly worse at 0-40 % (Fig. 14)",
        "PSNR less that of the image's own ticket, mean over rounds 1 and 2",
        NEGATIVE,
        rounds=paper.FOREIGN_LOW_ROUNDS,
    ),
    "foreign_high": Claim(
        "images",
        "tickets of another image equal own ones from 74 % on",
        "about equal below 0.6 M parameters, that is from round 6 on (Fig. 14)",
        "PSNR less that of the image's own ticket, mean over rounds from 6 on",
        EQUAL,
    ),
    "foreign_multi": Claim(
        "images",
        "tickets of several images beat those of another one from 74 % on",
        "multi-image tickets are the best of the foreign ones at high sparsity (Fig. 14)",
        "PSNR less the mean PSNR of tickets of single other images, mean over rounds from 6 on",
        POSITIVE,
    ),
    # Fig. 15
    "ratio": Claim(
        "ratio",
        "random pruning with IMP's ratios is worse than uniform random pruning from 49 % on",
        "random masks with the layer ratios of LIP collapse earlier, from 50 % (Fig. 15)",
        "PSNR less that of uniform random pruning, mean over rounds from 3 on",
        NEGATIVE,
    ),
    # Fig. 16
    "sgld": Claim(
        "sgld",
        "SGLD on tickets beats SGLD on the dense prior from 20 to 79 %",
        "LIP with SGLD beats SGLD on 20-79 % (Fig. 16)",
        "PSNR less that of the dense prior with SGLD, mean over rounds 1 to 7",
        POSITIVE,
        rounds=paper.SGLD_ROUNDS,
    ),
    "sgld_mean": Claim(
        "sgld",
        "so do the posterior means",
        "LIP with SGLD beats SGLD on 20-79 % (Fig. 16)",
        "PSNR of the mean of outputs after burn-in less that of the dense prior, mean over rounds 1 to 7",
        POSITIVE,
        rounds=paper.SGLD_ROUNDS,
    ),
    # Fig. 18 and 19
    "spectra_high": Claim(
        "spectra",
        "tickets of 67 and 79 % keep more of the high frequencies than random pruning",
        "LIP keeps high frequencies (Fig. 18)",
        "mean log-magnitude in the upper half of the band less that of random pruning",
        POSITIVE,
    ),
    "spectra_band": Claim(
        "spectra",
        "tickets and random pruning differ more in the high band than in the low",
        "LIP and random pruning differ mainly in the high band (Fig. 19)",
        "mean absolute difference of log-magnitudes in the upper half of the band less that in the lower half",
        POSITIVE,
    ),
    # Tables
    "sizes": Claim(
        "sizes",
        "tickets beat the deep decoder at its number of parameters",
        "LIP beats the deep decoder at equal size (Table 2, Fig. 5)",
        "PSNR less that of the deep decoder, mean over tasks",
        POSITIVE,
    ),
    "bird": Claim(
        "bird",
        "a ticket with a tenth of the parameters beats the dense prior",
        "0.2 M parameters 30.61 dB, dense 2.2 M 30.35 dB (Table 3)",
        "PSNR less that of the dense prior, at round 11",
        POSITIVE,
    ),
    "levels": Claim(
        "levels",
        "tickets beat SynFlow from 60 % on",
        "31.13 against 30.59 dB at 60 %, 30.91 against 28.98 dB at 90 % (Table 4)",
        "PSNR less that of SynFlow, mean over 60 to 90 %",
        POSITIVE,
    ),
    "sets": Claim(
        "sets",
        "tickets of 73.79 % beat the dense prior over sets and tasks",
        "better than deep image prior in every column (Table 5)",
        "PSNR less that of the dense prior, mean over images and tasks",
        POSITIVE,
    ),
    # Beyond the paper
    "oes_matched": Claim(
        "oes",
        "IMP tickets match masks of Optimal Eye Surgeon of the same size",
        f"{OWN}; Optimal Eye Surgeon (arXiv 2406.05288) calls IMP masks poor priors",
        "PSNR less that of Optimal Eye Surgeon's mask, mean over both prunable sets",
        MATCHING,
    ),
    "oes_counts": Claim(
        "oes",
        "Optimal Eye Surgeon beats random masks with its own counts in every layer",
        f"{OWN}; if not, its gain is which layers it prunes",
        "PSNR less that of random masks with the same counts, mean over both prunable sets",
        POSITIVE,
    ),
    "oes_gap": Claim(
        "oes",
        "masked priors lose less after their peak than the dense one",
        f"{OWN}; the point of Optimal Eye Surgeon",
        "oracle peak less last output, that of the dense prior taken off; mean over IMP and Optimal Eye Surgeon",
        NEGATIVE,
    ),
    # Table 1
    "gan_lip_sense": Claim(
        "gan",
        "tickets of a generator recover as well as the dense one up to 73.79 %, in compressive sensing",
        "the error stays at .0725 to 73.79 % (Table 1)",
        "mean squared error above that of the dense generator, mean over rounds 1 to 6",
        Region(high=SAME_ERROR),
        "%",
        rounds=paper.GAN_ROUNDS,
    ),
    "gan_lip_inpaint": Claim(
        "gan",
        "tickets of a generator recover as well as the dense one up to 73.79 %, in inpainting",
        "the error stays at .0541 to 73.79 % (Table 1)",
        "mean squared error above that of the dense generator, mean over rounds 1 to 6",
        Region(high=SAME_ERROR),
        "%",
        rounds=paper.GAN_ROUNDS,
    ),
    "gan_random_sense": Claim(
        "gan",
        "randomly pruned generators recover worse than the dense one from 20 to 73.79 %, in compressive sensing",
        "the error rises from .0725 at 0 % to .3655 at 73.79 % (Table 1)",
        "mean squared error above that of the dense generator, mean over rounds 1 to 6",
        Region(low=SAME_ERROR, open=True),
        "%",
        rounds=paper.GAN_ROUNDS,
    ),
    "gan_random_inpaint": Claim(
        "gan",
        "randomly pruned generators recover worse than the dense one from 20 to 73.79 %, in inpainting",
        "the error rises from .0541 at 0 % to .2195 at 73.79 % (Table 1)",
        "mean squared error above that of the dense generator, mean over rounds 1 to 6",
        Region(low=SAME_ERROR, open=True),
        "%",
        rounds=paper.GAN_ROUNDS,
    ),
    "compat_double": Claim(
        "compat",
        "listing every layer twice makes the released random pruning worse than random pruning is",
        f"{OWN}; its script prunes 36 % a round (all random curves but the GAN's)",
        "PSNR of random pruning as released less without, mean over rounds",
        HARM,
    ),
    "compat_target": Claim(
        "compat",
        "tickets found on the clean image are better than those found on the observation",
        f"{OWN}; its script finds them on the clean image, the paper says on the observation",
        "PSNR with masks found on the clean image less without, mean over rounds",
        POSITIVE,
    ),
    "compat_unmasked": Claim(
        "compat",
        "leaving two layers unmasked makes the released tickets better than they are",
        f"{OWN}; its masks skip the convolutions that see the code",
        "PSNR of tickets as released less without, mean over rounds",
        POSITIVE,
    ),
    "compat_script": Claim(
        "script",
        "added up over layers, IMP's masks seem to prune later layers more",
        f"{OWN}; its script adds up zeros and weights over layers, the figure says per layer",
        "Spearman's correlation of the added up ratio with the layer's number, two layers skipped as released",
        POSITIVE,
        "ρ",
    ),
}
