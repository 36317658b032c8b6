"""One training step in npgrad and in torch: forward with dropout, cross-entropy, all gradients, SGD with momentum."""

import dataclasses

RATE, MOMENTUM = 1e-3, 0.9


def in_npgrad(it):
    from npgrad.layers import Dropout, Sequential
    from npgrad.optim import SGD
    from npgrad.training import train

    model, optimizer = it.model, SGD(RATE, momentum=MOMENTUM)
    if it.checking:
        layers = {**model.network.layers, "drop9": Dropout(0.0)}
        model = dataclasses.replace(model, network=Sequential(layers))
    begin = model.parameters()["conv1.weight"]

    def step():
        nonlocal model
        trained = train(model, lambda t: (it.x, it.target), 1, optimizer)
        model = trained.model
        return {"loss": trained.losses[0], "change of conv1": model.parameters()["conv1.weight"] - begin}

    step()  # so that the first loss that is compared depends on the first gradients
    return step


def in_torch(it):
    import copy

    import torch

    net = copy.deepcopy(it.net).requires_grad_(True).train()
    if it.checking:
        net.classifier[0].p = 0.0
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)
    begin = it.net.features[0].weight

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(it.x), it.target)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item(), "change of conv1": net.features[0].weight.detach() - begin}

    step()
    return step
