"""A reward server for Reverie, of Python's standard library alone: how red is an image?

python3 server.py [PORT]     (needs Pillow for the pixels; without it the PNG's size is the score)
"""

import base64
import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    from PIL import Image
except ImportError:
    Image = None


def score(png, prompt, metadata):
    """One number for one image; larger is better. Put your model here."""
    if Image is None:
        return -len(png) / 1000
    pixels = list(Image.open(io.BytesIO(png)).convert("RGB").getdata())
    return sum(red - (green + blue) / 2 for red, green, blue in pixels) / len(pixels)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        images = [base64.b64decode(image) for image in asked["images"]]
        scores = [score(*each) for each in zip(images, asked["prompts"], asked["metadata"])]
        answer = json.dumps({"scores": scores}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Handler)
    print("listening on port", server.server_address[1], flush=True)
    server.serve_forever()
