"""Coalitions of segments: copies of an image that keep some segments, the others being replaced by a baseline."""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import full_baseline, generator, generators
from npgrad.attribution._copies import begin, scores_of
from npgrad.attribution.segments import feature_maps


class Segmented:
    """Images cut into segments, and the scores of their coalitions."""

    def __init__(self, model, x, target, mask, baseline, rng, batch_size, n_segments=50):
        self.model, rng = model, generator(rng)
        self.x, self.targets, _, self.size = begin(model, x, target, batch_size, backward=False)
        self.maps = feature_maps(mask, self.x, n_segments)
        counts = [int(labels.max()) + 1 for labels in self.maps]
        self.rngs_and_counts = list(zip(generators(rng, len(counts)), counts, strict=True))
        self.baseline = full_baseline(baseline, self.x.shape, self.x.dtype)

    def copies(self, i, z):
        """Image i with only the segments of each coalition of z (S, M): (S, C, H, W)."""
        copies = np.where(z[:, self.maps[i]], self.x[i], self.baseline[i])
        # Each copy contiguous, so that the rounding of sums over it does not depend on the other copies.
        return np.ascontiguousarray(copies)

    def scores(self, coalitions, progress, away=None):
        """For each image the scores of its coalitions, and `away` of their copies: two arrays (S,) in float64.

        The coalitions z of an image: an array, or anything with a length where z[rows] is bool (rows, M).
        """
        total, done, scored = sum(map(len, coalitions)), 0, []
        for i, z in enumerate(coalitions):
            f, far = np.empty((2, len(z)))
            for part in batches(len(z), self.size):
                copies = self.copies(i, z[part])
                f[part] = scores_of(self.model, copies, np.repeat(self.targets[i], len(part)), self.size)
                if away is not None:
                    far[part] = away(self.x[i], copies)
                done += len(part)
                if progress is not None:
                    progress(done, total)
            scored.append((f, far))
        return scored

    def spread(self, values):
        """Each segment's value at each of its elements: (N, C, H, W)."""
        return np.stack([v[labels] for v, labels in zip(values, self.maps, strict=True)]).astype(self.x.dtype)
