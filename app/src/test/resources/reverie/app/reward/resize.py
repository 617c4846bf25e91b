"""Writes what Pillow makes of a small picture: python3 resize.py > resize.json"""
import base64, json, random, sys
from PIL import Image, __version__

random.seed(1)
W, H = 23, 17
pixels = bytes(
    random.randrange(256) if (x // 4 + y // 3) % 2 else (x * 11 + y * 7 + c * 40) % 256
    for y in range(H) for x in range(W) for c in range(3))
image = Image.frombytes("RGB", (W, H), pixels)
cases = []
for name in ("bilinear", "bicubic", "lanczos"):
    for w, h in ((8, 8), (23, 5), (9, 17), (40, 31), (1, 1), (16, 20)):
        out = image.resize((w, h), getattr(Image.Resampling, name.upper()))
        cases.append({"filter": name, "width": w, "height": h, "pixels": base64.b64encode(out.tobytes()).decode()})
json.dump({"pillow": __version__, "width": W, "height": H, "pixels": base64.b64encode(pixels).decode(), "cases": cases}, sys.stdout, indent=1)
