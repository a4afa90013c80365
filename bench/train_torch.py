"""Steps a second of PyTorch: `train_torch.py LOSS HIDDEN SECONDS THREADS`, LOSS is `values` or `gradients`.

A step of 95-HIDDEN-HIDDEN-1 (SiLU, batch 512, Adam, float32) on one batch that stays where it is: nothing is gathered. Prints the
best of several spells.
"""

import sys
import time

import torch

loss_name, hidden, seconds, threads = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
torch.manual_seed(1)
inputs, batch = 95, 512
network = torch.nn.Sequential(
    torch.nn.Linear(inputs, hidden),
    torch.nn.SiLU(),
    torch.nn.Linear(hidden, hidden),
    torch.nn.SiLU(),
    torch.nn.Linear(hidden, 1),
)
with_gradients = loss_name == "gradients"
x = torch.randn(batch, inputs, requires_grad=with_gradients)
values, slopes = torch.randn(batch, 1), torch.randn(batch, inputs)


def step(optimiser):
    optimiser.zero_grad(set_to_none=True)
    f = network(x)
    loss = ((f - values) ** 2).mean()
    if with_gradients:
        (g,) = torch.autograd.grad(f.sum(), x, create_graph=True)
        loss = loss + ((g - slopes) ** 2).sum(1).mean()
    loss.backward()
    optimiser.step()


def rate(optimiser):
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds / 6:
        step(optimiser)
        steps += 1
    return steps / (time.perf_counter() - start)


best = 0.0
for foreach in (False, True):
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, foreach=foreach)
    step(optimiser)
    best = max([best] + [rate(optimiser) for _ in range(3)])
print(loss_name, hidden, best)
