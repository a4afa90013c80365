"""The search sampled by emcee with the density of search_numpy.py: what sampling.fsx sets FunLik beside.

    python3 search_emcee.py MODEL.json START.npy STEPS A OUT.npy

START has one row a walker, WALKERS x parameters. Prints steps a second and, by emcee's own autocorrelation times of x and of
(x - mean)^2 after the first tenth, effective samples a second of the worst parameter; writes the last tenth of mu's chain.
"""
import sys, time
import numpy as np
import emcee
from search_numpy import Search
import json


def main(model, start, steps, a, out):
    with open(model) as f:
        search = Search(json.load(f))
    start = np.load(start)
    walkers, parameters = start.shape

    def density(x):
        return search(x, False)[0]

    np.random.seed(1)
    sampler = emcee.EnsembleSampler(walkers, parameters, density, vectorize=True, moves=emcee.moves.StretchMove(a=a))
    sampler.run_mcmc(start, 200)
    begin = time.perf_counter()
    state = sampler.get_last_sample()
    sampler.reset()
    sampler.run_mcmc(state, steps)
    seconds = time.perf_counter() - begin
    chain = sampler.get_chain(discard=steps // 10)
    square = (chain - chain.mean((0, 1))) ** 2
    time_x = emcee.autocorr.integrated_time(chain, tol=0, quiet=True)
    time_square = emcee.autocorr.integrated_time(square, tol=0, quiet=True)
    worst = max(time_x.max(), time_square.max())
    np.save(out, chain[-(steps // 10):, :, 0].ravel())
    print(json.dumps({
        "version": emcee.__version__, "steps": steps, "seconds": seconds, "autocorrelation": float(worst),
        "essPerSecond": walkers * steps / worst / seconds, "acceptance": float(sampler.acceptance_fraction.mean())}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
