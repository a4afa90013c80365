"""Profiled points of the search by SciPy's L-BFGS-B and by iminuit, both with the gradient in numpy, double precision, one thread: what
profiles.fsx sets FunLik beside.

    python3 profile_numpy.py MODEL.json

Prints a line a peer and setting: name, milliseconds a profiled point (the best of several passes over mu = 0, 0.1 ... 1, each from the best
fit), and the values of -2 log density there. A peer that is not installed is left out.
"""
import json, os, sys, time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
import numpy as np
from math import lgamma, log, pi


class Point:
    """-log density and gradient at one point, with as few calls of numpy as may be."""

    def __init__(self, d):
        self.c, self.n = d["categories"], d["binsPerCategory"]
        self.bins = bins = self.c * self.n
        self.observed, self.b, self.s = (np.array(d[k], float) for k in ("observed", "background", "signal"))
        self.total = self.b.reshape(self.c, self.n).sum(1)
        self.log_eps = np.log1p(np.array(d["mcStatEpsilon"]))
        names = list(d["shape"]) + [k for k in d["norm"] if k not in d["shape"]]
        up, down = (np.array([d["shape"][k][side] for k in d["shape"]]) for side in ("up", "down"))
        self.lin, self.quad = 0.5 * (up - down), 0.5 * (up + down) - 1.0
        self.log_up, self.log_down = (np.log1p(np.array([d["norm"][k][side] for k in names])) for side in ("up", "down"))
        self.constant = sum(lgamma(x + 1) for x in self.observed) + 0.5 * (bins + len(names)) * log(2 * pi) + log(5)
        self.size = 1 + bins + len(names)

    def __call__(self, x):
        bins, shapes = self.bins, len(self.lin)
        delta, eta = x[1:bins + 1], x[bins + 1:]
        factors, slopes = np.empty_like(self.lin), np.empty_like(self.lin)
        for j in range(shapes):
            e, a, q = eta[j], self.lin[j], self.quad[j]
            inside = abs(e) < 1
            factors[j] = 1 + a * e + q * (e * e if inside else 2 * abs(e) - 1)
            slopes[j] = a + q * (2 * e if inside else 2 * np.sign(e))
        shaped = (self.b * factors[0] * factors[1]).reshape(self.c, self.n)
        sums = shaped.sum(1)
        side = np.where((eta < 0)[:, None], -self.log_down, self.log_up)
        background = (shaped * (self.total * np.exp(eta @ side) / sums)[:, None]).ravel() * np.exp(delta * self.log_eps)
        nu = background + x[0] * self.s
        if nu.min() <= 0:
            return np.inf, np.zeros_like(x)
        y = self.constant - self.observed @ np.log(nu) + nu.sum() + 0.5 * (delta @ delta + eta @ eta)
        g = np.empty_like(x)
        rest = 1 - self.observed / nu
        g[0] = rest @ self.s
        weighted = rest * background
        g[1:bins + 1] = weighted * self.log_eps + delta
        by_category = weighted.reshape(self.c, self.n).sum(1)
        ends = side @ by_category
        for j in range(shapes):
            relative = slopes[j] / factors[j]
            mean = (shaped * relative.reshape(self.c, self.n)).sum(1) / sums
            ends[j] += weighted @ relative - by_category @ mean
        g[bins + 1:] = ends + eta
        return y, g


def passes(profile, mus, repeats):
    best, values = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        values = [profile(mu) for mu in mus]
        best = min(best, (time.perf_counter() - start) / len(mus))
    return 1e3 * best, values


def report(name, profile, repeats):
    ms, values = passes(profile, [k / 10 for k in range(11)], repeats)
    print(name + "\t" + repr(ms) + "\t" + " ".join(repr(2 * float(v)) for v in values), flush=True)


def main():
    with open(sys.argv[1]) as f:
        model = Point(json.load(f))
    at = np.zeros(model.size)
    try:
        from scipy.optimize import minimize
    except ImportError:
        minimize = None
    if minimize:
        free = minimize(model, at, jac=True, method="L-BFGS-B", options=dict(maxcor=20, ftol=1e-14, gtol=1e-7, maxiter=2000))
        at = free.x

        def lbfgsb(maxcor, ftol, gtol):
            def profile(mu):
                def reduced(rest):
                    y, g = model(np.concatenate(([mu], rest)))
                    return y, g[1:]
                return minimize(reduced, at[1:], jac=True, method="L-BFGS-B", options=dict(maxcor=maxcor, ftol=ftol, gtol=gtol)).fun
            return profile

        for maxcor in (5, 10, 20):
            for gtol in (1e-3, 1e-4):
                report(f"scipy L-BFGS-B, {maxcor} pairs, gtol {gtol:g}", lbfgsb(maxcor, 1e-11, gtol), 8)
    try:
        from iminuit import Minuit
    except ImportError:
        return

    def minuit(strategy, tol):
        last = [None, None, None]

        def both(x):
            if last[0] is None or not np.array_equal(last[0], x):
                last[:] = [np.array(x), *model(x)]
            return last

        def profile(mu):
            start = at.copy()
            start[0] = mu
            m = Minuit(lambda x: both(x)[1], start, grad=lambda x: both(x)[2])
            m.errordef, m.strategy, m.tol, m.print_level = 0.5, strategy, tol, 0
            m.fixed[0] = True
            m.migrad()
            return m.fval
        return profile

    for strategy in (0, 1):
        for tol in (0.1, 0.001):
            report(f"iminuit, strategy {strategy}, tol {tol:g}", minuit(strategy, tol), 3)


main()
