"""The search's log density and its gradient in vectorised numpy, double precision, one thread: what bench.fsx sets FunLik beside.

    python3 search_numpy.py MODEL.json POINTS.npy OUT.npy

Prints the best time a point of value, and of value with gradient, over chunks of several sizes; writes the values.
"""
import json, os, sys, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
from math import lgamma, log, pi


class Search:
    def __init__(self, d):
        self.c, self.n = d["categories"], d["binsPerCategory"]
        bins = self.c * self.n
        b = np.array(d["background"])
        self.observed, self.b, self.s = np.array(d["observed"]), b, np.array(d["signal"])
        self.total = b.reshape(self.c, self.n).sum(1)
        self.log_eps = np.log1p(np.array(d["mcStatEpsilon"]))
        shapes = [d["shape"][k] for k in d["shape"]]
        names = list(d["shape"]) + [k for k in d["norm"] if k not in d["shape"]]
        up = [np.array(s["up"]) for s in shapes]
        down = [np.array(s["down"]) for s in shapes]
        self.lin = [0.5 * (u - v) for u, v in zip(up, down)]
        self.quad = [0.5 * (u + v) - 1.0 for u, v in zip(up, down)]
        self.log_up = np.log1p(np.array([d["norm"][k]["up"] for k in names]))
        self.log_down = np.log1p(np.array([d["norm"][k]["down"] for k in names]))
        self.constant = -sum(lgamma(x + 1) for x in self.observed) - 0.5 * (bins + len(names)) * log(2 * pi) - log(5)

    def __call__(self, x, gradient):
        bins = self.c * self.n
        mu, delta, eta = x[:, :1], x[:, 1:bins + 1], x[:, bins + 1:]
        factors, slopes = [], []
        for j, (a, q) in enumerate(zip(self.lin, self.quad)):
            d = eta[:, j:j + 1]
            inside = np.abs(d) < 1
            factors.append(1 + a * d + q * np.where(inside, d * d, 2 * np.abs(d) - 1))
            if gradient:
                slopes.append(a + q * np.where(inside, 2 * d, 2 * np.sign(d)))
        shaped = self.b * factors[0] * factors[1]
        sums = shaped.reshape(-1, self.c, self.n).sum(2)
        positive = np.where(eta < 0, 0, eta)
        logs = positive @ self.log_up - (eta - positive) @ self.log_down
        scale = self.total * np.exp(logs) / sums
        background = (shaped.reshape(-1, self.c, self.n) * scale[:, :, None]).reshape(-1, bins) * np.exp(delta * self.log_eps)
        nu = background + mu * self.s
        y = np.log(nu) @ self.observed - nu.sum(1) - 0.5 * ((delta * delta).sum(1) + (eta * eta).sum(1)) + self.constant
        y[(nu < 0).any(1) | (x[:, 0] <= -1) | (x[:, 0] >= 5)] = -np.inf
        if not gradient:
            return y, None
        g = np.empty_like(x)
        dnu = self.observed / nu - 1
        g[:, 0] = dnu @ self.s
        weighted = dnu * background
        g[:, 1:bins + 1] = weighted * self.log_eps - delta
        by_category = weighted.reshape(-1, self.c, self.n).sum(2)
        slopes_of_logs = np.where(eta[:, :, None] < 0, -self.log_down, self.log_up)
        g[:, bins + 1:] = (by_category[:, None, :] * slopes_of_logs).sum(2)
        for j in range(len(self.lin)):
            relative = slopes[j] / factors[j]
            mean = (shaped * relative).reshape(-1, self.c, self.n).sum(2) / sums
            g[:, bins + 1 + j] += (weighted * relative).sum(1) - (by_category * mean).sum(1)
        g[:, bins + 1:] -= eta
        return y, g


def best(model, points, gradient):
    times = []
    for chunk in (128, 512, 2048):
        for _ in range(4):
            start = time.perf_counter()
            for first in range(0, len(points), chunk):
                model(points[first:first + chunk], gradient)
            times.append((time.perf_counter() - start) / len(points))
    return min(times) * 1e6


def main():
    with open(sys.argv[1]) as f:
        model = Search(json.load(f))
    points = np.load(sys.argv[2])
    y, g = model(points, True)
    np.save(sys.argv[3], np.concatenate([y[:, None], g], axis=1))
    print(best(model, points, False), best(model, points, True))


if __name__ == "__main__":
    main()
