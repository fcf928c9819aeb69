"""The look that all drawings share. A drawing brings its background, so it is legible on a site of any theme; it is light
or dark as the reader's system asks."""

FONT = "'DejaVu Sans', Verdana, sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, monospace"

LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "faint": "#59636e", "line": "#d1d9e0",
         "bar": "#9aa4af", "ours": "#0b62c4", "box": "#f6f8fa", "second": "#b35900"}
DARK = {"paper": "#0d1117", "ink": "#e6edf3", "faint": "#9198a1", "line": "#3d444d",
        "bar": "#656f7a", "ours": "#58a6ff", "box": "#161b22", "second": "#f0a04b"}


def variables():
    """The colours as CSS variables."""
    def block(colours):
        return "svg{" + "".join(f"--{name}:{value};" for name, value in colours.items()) + "}"
    return block(LIGHT) + "@media(prefers-color-scheme:dark){" + block(DARK) + "}"


def text(string):
    """A string as XML text."""
    return string.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
