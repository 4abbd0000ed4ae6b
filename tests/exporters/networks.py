"""Small networks with the inputs, outputs and operators of the models that people bring, untrained.

Runs in the environment with torch. Written from the published descriptions of the architectures.
"""
# mypy: ignore-errors
# ruff: noqa: D102 - methods that a library calls

import math

import torch
from torch import nn
from torch.nn import functional


def conv(inputs, outputs, side=3, stride=1, act=None):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs), act or nn.ReLU()
    )


class Scrfd(nn.Module):
    """The nine outputs of InsightFace's export: two-dimensional for one image, three-dimensional for a batch."""

    def __init__(self, *, batched=False):
        super().__init__()
        self.batched = batched
        self.stem = nn.Sequential(conv(3, 8, stride=2), conv(8, 8, stride=2), conv(8, 8, stride=2))
        self.down = nn.ModuleList([conv(8, 8, stride=2), conv(8, 8, stride=2)])
        self.heads = nn.ModuleList([nn.Conv2d(8, 2 * width, 3, padding=1) for width in (1, 4, 10)])
        self.scales = nn.Parameter(torch.tensor([1.0, 1.1, 1.2]))

    def forward(self, image):
        levels = [self.stem(image)]
        for down in self.down:
            levels.append(down(levels[-1]))
        for i in (1, 0):
            levels[i] = levels[i] + functional.interpolate(levels[i + 1], size=levels[i].shape[2:], mode="nearest")
        outputs = []
        for head, width in zip(self.heads, (1, 4, 10), strict=True):
            for level, scale in zip(levels, self.scales, strict=True):
                value = head(level).permute(0, 2, 3, 1)
                value = value.reshape(value.shape[0], -1, width) if self.batched else value.reshape(-1, width)
                outputs.append(torch.sigmoid(value) if width == 1 else value * scale)
        return tuple(outputs)


class IResNet(nn.Module):
    """ArcFace's residual network: norms before convolutions, PReLU, a fully connected end with norms and dropout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.PReLU(8))
        self.blocks = nn.ModuleList([self._block(8, 16), self._block(16, 32), self._block(32, 32)])
        self.short = nn.ModuleList([self._short(8, 16), self._short(16, 32), self._short(32, 32)])
        self.end = nn.Sequential(nn.BatchNorm2d(32), nn.Dropout(0.4), nn.Flatten(), nn.Linear(32 * 14 * 14, 512))
        self.norm = nn.BatchNorm1d(512)

    def _block(self, inputs, outputs):
        return nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def _short(self, inputs, outputs):
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, crop):
        value = self.stem(crop)
        for block, short in zip(self.blocks, self.short, strict=True):
            value = block(value) + short(value)
        return self.norm(self.end(value))


class Fan(nn.Module):
    """Heat maps, and face-alignment's decoding: the greatest, then a quarter of a cell to its greater neighbour."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 7, 2), nn.AvgPool2d(2), conv(16, 16))
        self.low = nn.Sequential(conv(16, 16), conv(16, 16))
        self.maps = nn.Conv2d(16, 68, 1)

    def forward(self, crop):
        value = self.stem(crop)
        low = self.low(functional.avg_pool2d(value, 2, 2))
        heat = self.maps(value + functional.interpolate(low, scale_factor=2, mode="nearest"))
        flat = heat.flatten(2)
        score, index = flat.max(dim=2)
        x, y = (index % 64).float(), torch.floor(index.float() / 64)
        inner = (x > 0) & (x < 63) & (y > 0) & (y < 63)
        place = index.clamp(65, 4095 - 65)

        def near(step):
            return torch.gather(flat, 2, (place + step).unsqueeze(2)).squeeze(2)

        x = x + torch.where(inner, torch.sign(near(1) - near(-1)) * 0.25, torch.zeros_like(x)) + 0.5
        y = y + torch.where(inner, torch.sign(near(64) - near(-64)) * 0.25, torch.zeros_like(y)) + 0.5
        return torch.stack([x, y, score], dim=2), heat


class Fan685(nn.Module):
    """68 points from 5."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 136))

    def forward(self, points):
        return self.layers(points.flatten(1)).reshape(-1, 68, 2)


class Styled(nn.Module):
    """Normalise each channel, then scale and shift it by the identity, as inswapper's blocks do."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3)
        self.style = nn.Linear(512, 2 * channels)

    def forward(self, value, identity):
        value = self.conv(functional.pad(value, (1, 1, 1, 1), mode="reflect"))
        centred = value - value.mean((2, 3), keepdim=True)
        value = centred * (1 / torch.sqrt((centred * centred).mean((2, 3), keepdim=True) + 1e-8))
        scale, shift = self.style(identity).unsqueeze(2).unsqueeze(3).chunk(2, dim=1)
        return value * scale + shift


class Inswapper(nn.Module):
    """Outputs 0..1 for inswapper; -1..1 and a mask for hyperswap."""

    def __init__(self, *, masked=False):
        super().__init__()
        self.masked = masked
        self.down = nn.Sequential(nn.Conv2d(3, 16, 7, 1, 3), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 3, 2, 1))
        self.blocks = nn.ModuleList([Styled(32), Styled(32)])
        self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), conv(32, 16))
        self.last = nn.Conv2d(16, 4 if masked else 3, 7, 1, 3)

    def forward(self, target, source):
        value = self.down(target)
        for block in self.blocks:
            value = value + torch.relu(block(value, source))
        value = self.last(self.up(value))
        if not self.masked:
            return (torch.tanh(value) + 1) / 2
        mask = torch.sigmoid(value[:, 3:])
        return torch.tanh(value[:, :3]) * mask + target * (1 - mask), mask


class XSeg(nn.Module):
    """Channels last, transposed convolutions, skips."""

    def __init__(self):
        super().__init__()
        self.first, self.second = conv(3, 8, stride=2), conv(8, 16, stride=2)
        self.up1, self.up2 = nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ConvTranspose2d(16, 1, 4, 2, 1)

    def forward(self, crop):
        first = self.first(crop.permute(0, 3, 1, 2))
        up = functional.elu(self.up1(self.second(first)))
        return torch.sigmoid(self.up2(torch.cat([up, first], dim=1))).permute(0, 2, 3, 1)


class BiSeNet(nn.Module):
    """Attention from a global mean, and logits enlarged to the crop's size; two heads that only training needs."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1), conv(8, 16, stride=2))
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.context = nn.Conv2d(16, 16, 1)
        self.heads = nn.ModuleList([nn.Conv2d(16, 19, 1) for _ in range(3)])

    def forward(self, crop):
        value = self.down(crop)
        context = functional.interpolate(self.context(value.mean((2, 3), keepdim=True)), size=value.shape[2:])
        value = value * self.attention(value) + context
        size = crop.shape[2:]
        return tuple(
            functional.interpolate(head(value), size, mode="bilinear", align_corners=True) for head in self.heads
        )


class Yolo(nn.Module):
    """YOLOv8's parts: split and joined features, pools in a row, and boxes from distributions of distances."""

    def __init__(self):
        super().__init__()
        act = nn.SiLU()
        self.stem = nn.Sequential(
            conv(3, 8, stride=2, act=act), conv(8, 8, stride=2, act=act), conv(8, 16, stride=2, act=act)
        )
        self.inner = conv(8, 8, act=act)
        self.join = conv(24, 16, 1, act=act)
        self.down = nn.ModuleList([conv(16, 16, stride=2, act=act), conv(16, 16, stride=2, act=act)])
        self.pools = conv(64, 16, 1, act=act)
        self.boxes = nn.ModuleList([nn.Conv2d(16, 64, 1) for _ in range(3)])
        self.classes = nn.ModuleList([nn.Conv2d(16, 80, 1) for _ in range(3)])
        self.distances = nn.Conv2d(16, 1, 1, bias=False)
        self.distances.weight.data[:] = torch.arange(16.0).reshape(1, 16, 1, 1)

    def forward(self, image):
        value = self.stem(image)
        kept, split = value.chunk(2, 1)
        first = self.join(torch.cat([kept, split, self.inner(split)], 1))
        second = self.down[0](first)
        third = pooled = self.down[1](second)
        pools = [third]
        for _ in range(3):
            pooled = functional.max_pool2d(pooled, 5, 1, 2)
            pools.append(pooled)
        third = self.pools(torch.cat(pools, 1))
        second = second + functional.interpolate(third, scale_factor=2.0)
        rows, anchors, strides = [], [], []
        for level, box, score, stride in zip(
            (first, second, third), self.boxes, self.classes, (8, 16, 32), strict=True
        ):
            rows.append(torch.cat([box(level), score(level)], 1).flatten(2))
            side = 640 // stride
            grid = torch.stack(torch.meshgrid(*[torch.arange(side, dtype=torch.float32) + 0.5] * 2, indexing="xy"), 0)
            anchors.append(grid.reshape(2, -1))
            strides.append(torch.full((1, side * side), float(stride)))
        box, score = torch.cat(rows, 2).split((64, 80), 1)
        sides = self.distances(box.reshape(-1, 4, 16, 8400).transpose(2, 1).softmax(1)).reshape(-1, 4, 8400)
        low, high = sides.chunk(2, 1)
        low, high = torch.cat(anchors, 1)[None] - low, torch.cat(anchors, 1)[None] + high
        return torch.cat([torch.cat([(low + high) / 2, high - low], 1) * torch.cat(strides, 1), score.sigmoid()], 1)


class Gfpgan(nn.Module):
    """Convolutions whose weights are modulated by a code of the image, as StyleGAN's are."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.LeakyReLU(0.2))
        self.coder = nn.Linear(8, 16)
        self.kernel = nn.Parameter(torch.randn(1, 8, 8, 3, 3))
        self.style = nn.Linear(16, 8)
        self.last = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, image):
        value = self.down(image)
        style = self.style(self.coder(value.mean((2, 3)))).view(1, 1, 8, 1, 1)
        weight = self.kernel / math.sqrt(72) * style
        weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8).view(1, 8, 1, 1, 1)
        value = functional.conv2d(value, weight.view(8, 8, 3, 3), padding=1)
        value = functional.interpolate(functional.leaky_relu(value, 0.2), scale_factor=4, mode="bilinear")
        return torch.tanh(self.last(value))
