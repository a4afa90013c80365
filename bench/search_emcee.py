"""The search sampled by emcee with the density of search_numpy.py: what sampling.fsx sets FunLik beside.

    python3 search_emcee.py MODEL.json START.npy STEPS A OUT.npy

START has one row a walker: parameters. Prints as JSON the seconds of so many steps of all walkers (multiples of 20), and by emcee's own
autocorrelation times of x and of (x - mean)^2 the effective samples a second of the worst parameter; writes every twentieth mu.
"""
import json, sys, time
from search_numpy import Search
import numpy as np
import emcee

THIN = 20


def main(model, start, steps, a, out):
    with open(model) as f:
        search = Search(json.load(f))
    start = np.load(start)
    walkers, parameters = start.shape

    def density(x):
        return search(x, False)[0]

    np.random.seed(1)
    sampler = emcee.EnsembleSampler(walkers, parameters, density, vectorize=True, moves=emcee.moves.StretchMove(a=a))
    state = sampler.run_mcmc(start, 500, store=False)
    sampler.reset()
    begin = time.perf_counter()
    sampler.run_mcmc(state, steps // THIN, thin_by=THIN)
    seconds = time.perf_counter() - begin
    chain = sampler.get_chain()
    np.save(out, chain[:, :, 0].ravel())
    # Parameter by parameter: the squares of all would be as large as the chain.
    worst = 0.0
    for i in range(parameters):
        x = chain[:, :, i:i + 1]
        for series in (x, (x - x.mean()) ** 2):
            worst = max(worst, float(emcee.autocorr.integrated_time(series, tol=0, quiet=True)[0]))
    worst *= THIN
    print(json.dumps({"version": emcee.__version__, "seconds": seconds, "autocorrelation": worst,
                      "essPerSecond": walkers * steps / worst / seconds,
                      "acceptance": float(sampler.acceptance_fraction.mean())}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
