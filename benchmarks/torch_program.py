"""What `npgrad attribute PHOTO --method saliency` does, as a torch + Captum program: for the cold start.

python -m benchmarks.torch_program squeezenet1_1 WEIGHTS.pth PHOTO OUT.png [--save-array OUT.npy]

It does as much, except that the heat map is not smoothed.
"""

import os
import sys

import numpy as np
import torch
from captum.attr import Saliency
from PIL import Image

from benchmarks.torch_squeezenet import TorchSqueezeNet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GLOW = ((0, 0, 4), (101, 21, 110), (212, 72, 66), (250, 193, 39), (252, 255, 164))


def cropped(photo, resize, crop):
    """The middle of the photo whose shorter side is `resize` px."""
    width, height = (round(resize * side / min(photo.size)) for side in photo.size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return photo.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + crop, top + crop))


def heat_map(saliency, photo):
    """A map (H, W) laid over the photo made dark: the higher the value, the more it covers."""
    sizes = np.sort(saliency, axis=None)
    cumulative = np.cumsum(sizes)
    limit = sizes[
        np.searchsorted(cumulative, 0.98 * cumulative[-1])
    ]  # the largest, 2% of the sum, are clipped
    scaled = Image.fromarray(np.clip(saliency / limit, 0, 1)).resize(photo.size, Image.Resampling.BILINEAR)
    values = np.asarray(scaled)[:, :, None]
    places = np.linspace(0, 1, len(GLOW))
    colors = np.concatenate(
        [np.interp(values, places, channel) for channel in zip(*GLOW, strict=True)], axis=2
    )
    under = 0.6 * np.asarray(photo.convert("L"), np.float32)[:, :, None]
    return Image.fromarray((under * (1 - 0.9 * values) + colors * 0.9 * values).astype(np.uint8))


def main(network, weights, path, output, *save_array):
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    net = TorchSqueezeNet(network).eval()
    net.load_state_dict(torch.load(weights))
    photo = Image.open(path).convert("RGB")
    pixels = np.asarray(cropped(photo, 256, 224), np.float32) / 255
    x = (
        ((torch.from_numpy(pixels) - torch.tensor(MEAN)) / torch.tensor(STD))
        .permute(2, 0, 1)[None]
        .contiguous()
    )
    with torch.no_grad():
        probabilities = torch.softmax(net(x), dim=1)[0]
    target = int(probabilities.argmax())
    saliency = Saliency(net).attribute(x.requires_grad_(), target=target)[0].numpy()
    if save_array:
        np.save(save_array[1], saliency)
    heat_map(saliency.sum(axis=0), cropped(photo, 512, 448)).save(output)
    print(f"{path}: saliency of {target}, probability {probabilities[target]:.2%} -> {output}")


if __name__ == "__main__":
    main(*sys.argv[1:])
