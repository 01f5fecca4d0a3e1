"""The built-in architectures, in the notation of `pipeline.networks.notation`.

The paper's are `base`, `arch1`, `arch2` and `arch3`; `color` is the network that comes with DeepColor; the others are
those of related systems, which docs/family.md describes.
"""

from pipeline.config.schema import Architecture, Latent

_ENCODER_BASE = "64/2 128 128/2 256 256/2 512 512 256"
_DECODER_BASE = "128 ^ 64 ^ 32 16 2 ^"

ARCHITECTURES: dict[str, Architecture] = {
    "base": Architecture(encoder=_ENCODER_BASE, fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch1": Architecture(encoder="64/2 128/2 128/2 256 256 512 256", fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch2": Architecture(encoder="64/2 64/2 64/2 128 256", fusion="1x1:256 1x1:256", decoder=_DECODER_BASE),
    "arch3": Architecture(encoder="64/2 64/2 32/2 64 64", fusion="1x1:64 3x3:64", decoder="^ 32 ^ 32 16 2 ^"),
    "color": Architecture(
        encoder="",
        fusion="1x1:128",
        decoder="~.3 ^ +map_14:64 96 ~.3 ^ +map_28:32 64 ~.2 ^ +map_56:16 +L 48 48 ~.1 1x1:313",
        head="classes",
        inputs=["L", "map_7", "map_14", "map_28", "map_56"],
        normalisation="batch",
        upsampling="bilinear",
    ),
    "koalarization": Architecture(
        encoder=_ENCODER_BASE, fusion="1x1:256", decoder="128 ^ 64 64 ^ 32 2 ^", head="tanh", lightness=[-1, 1]
    ),
    "zhang": Architecture(
        encoder="64 64/2 | 128 128/2 | 256 256 256/2 | 512 512 512 | 512@2 512@2 512@2 | 512@2 512@2 512@2 | "
        "512 512 512 |",
        fusion="",
        decoder="4x4:256^ 256 256 1x1:313",
        head={"name": "classes", "skip_gray": True},
        inputs=["L"],
        lightness=[-50, 50],
        padding="symmetric",
    ),
    "vgg": Architecture(
        encoder="",
        fusion="1x1:256",
        decoder="256 ^ 128 ^ +L 64 1x1:313",
        head={"name": "classes", "power": 0},
        inputs=["L", "map_14"],
        upsampling="bilinear",
    ),
    "larsson": Architecture(
        encoder="",
        fusion="",
        decoder="^ +map_14 ^ +map_28 ^ +map_56 +L 1x1:1024 1x1:64",
        head="hue_chroma",
        inputs=["L", "map_7", "map_14", "map_28", "map_56"],
        normalisation="batch",
        upsampling="bilinear",
    ),
    "vae": Architecture(
        encoder="",
        fusion="1x1:128",
        decoder="~.3 ^ +map_14:64 96 ~.3 ^ +map_28:32 64 ~.2 ^ +map_56:16 +L 48 48 ~.1 2 ^ ^",
        head="tanh",
        inputs=["L", "map_7", "map_14", "map_28", "map_56", "true_ab", "noise"],
        normalisation="batch",
        upsampling="bilinear",
        latent=Latent(encoder="32/2 64/2 64/2"),
    ),
}
