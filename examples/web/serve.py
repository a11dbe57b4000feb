"""Serves this folder to this computer alone, and a model from anywhere, with what WebAssembly needs to use threads.

python serve.py [--model FOLDER] [--port 8080]
"""

from __future__ import annotations

import argparse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:",
    "Cache-Control": "no-cache",
}


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=HERE / "model", help="folder made by aligncap export")
    parser.add_argument("--port", type=int, default=8080, help="0: any that is free")
    arguments = parser.parse_args()

    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(HERE))  # type: ignore[arg-type]

        def translate_path(self, path: str) -> str:
            """Where a file lies; SimpleHTTPRequestHandler keeps paths within its folder."""
            found = Path(super().translate_path(path))
            inside = found.relative_to(HERE).parts if found.is_relative_to(HERE) else ()
            return str(arguments.model.resolve().joinpath(*inside[1:]) if inside[:1] == ("model",) else found)

        def end_headers(self) -> None:
            """The headers of every answer."""
            for name, value in HEADERS.items():
                self.send_header(name, value)
            super().end_headers()

    with ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
