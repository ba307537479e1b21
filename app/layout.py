"""The page: its widgets, and which handler each event calls."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

import gradio as gr

from .api import add_endpoints
from .handlers import Handlers
from .models import Models
from .page_state import PageState
from .words import ABOUT_CONFIDENCE, ABSENT, MAYBE

TITLE = "In-context matting"
_INTRO = """<div class="icm icm-title"><h1>Mark it once, cut it out everywhere</h1>
<p>Show an object on one photo. The program finds it in your other pictures and cuts it out, with
soft edges such as hair and fur, so that you can put it on any background.</p></div>"""
_STEP = '<div class="icm icm-step"><h2>{}</h2><p>{}</p></div>'
_SCRIPTS = (
    "core.js",
    "order.js",
    "patience.js",
    "streams.js",
    "kept.js",
    "restart.js",
    "stage.js",
    "clicks.js",
    "ink.js",
    "easel.js",
    "tray.js",
    "verdict.js",
    "welcome.js",
    "brush.js",
    "panel.js",
    "edits.js",
    "export.js",
    "viewer.js",
)
_SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")


def look() -> dict[str, Any]:
    """Theme, style sheet and scripts, for mounting; nothing of them comes from another server."""
    theme = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=_SYSTEM_FONTS,
        font_mono=("ui-monospace", "Consolas", "monospace"),
    ).set(
        button_primary_background_fill="#1d4ed8",
        button_primary_background_fill_hover="#1e40af",
        button_primary_text_color="#ffffff",
        block_info_text_color="*body_text_color",
        block_info_text_color_dark="*body_text_color",
    )
    scripts = "\n".join(f"<script>{_bundled(name)}</script>" for name in _SCRIPTS)
    return {"theme": theme, "css": _bundled("page.css") + _bundled("touch.css"), "head": scripts}


def build_page(state: PageState) -> gr.Blocks:
    """The page."""
    handlers = Handlers(state)
    keep = int(state.settings.keep)
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(max(1, keep // 6), keep)
    ) as page:
        widgets = _widgets(state.models, handlers)
        add_endpoints(state)
        _connect(page, widgets, handlers)
    return page


@dataclass(frozen=True)
class _Widgets:
    """The widgets that events read or change."""

    token: gr.State
    easel: gr.HTML
    tray: gr.HTML
    absent: gr.Radio
    run: gr.Button
    again: gr.Button
    stop: gr.Button
    viewer: gr.HTML
    model: gr.Radio
    words: gr.Markdown
    command: gr.Textbox

    @property
    def screen(self) -> list[Any]:
        """Those that show a session, in the order of the handlers' values."""
        buttons = [self.run, self.again, self.stop]
        return [self.easel, self.tray, self.viewer, *buttons, self.command]


def _widgets(models: Models, handlers: Handlers) -> _Widgets:
    """Makes the widgets, in their places."""
    token = gr.State("")
    gr.HTML(_INTRO, apply_default_css=False)
    with gr.Row(elem_classes="icm-columns"):
        with gr.Column(min_width=0):
            gr.HTML(_STEP.format("1. Show the object", "One photo is enough; three are better."))
            easel = _widget("easel")
            gr.HTML(_STEP.format("2. Add your pictures", "As many as you like."))
            tray = _widget("tray")
            absent = gr.Radio(
                [(label, name) for name, label in ABSENT.items()],
                value="keep",
                label=f"Where the object is {MAYBE}",
                info=ABOUT_CONFIDENCE,
                elem_id="absent",
            )
            with gr.Row(elem_classes="icm-run"):
                run = gr.Button("Cut the object out", variant="primary", elem_id="run")
                again = gr.Button("Cut all out again", visible=False, elem_id="again")
                stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
        with gr.Column(min_width=0, elem_classes="icm-result"):
            gr.HTML(_STEP.format("3. Look, correct and download", ""))
            viewer = _widget("viewer")
    with gr.Accordion("Which model does it", open=False, elem_classes="icm-model"):
        model = gr.Radio(
            [(models.title(name), name) for name in models.names],
            value=models.preselected,
            label="Model",
        )
        words = gr.Markdown(handlers.describe(models.preselected))
    with gr.Accordion("The same on the command line", open=False):
        command = gr.Textbox(
            label="Save the reference above as object.icmref, then run",
            interactive=False,
            buttons=["copy"],
        )
    return _Widgets(token, easel, tray, absent, run, again, stop, viewer, model, words, command)


def _connect(page: gr.Blocks, widgets: _Widgets, handlers: Handlers) -> None:
    """Says which handler each event calls."""
    token, screen, model = widgets.token, widgets.screen, widgets.model
    light: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "undocumented",
        "concurrency_limit": None,
        "trigger_mode": "multiple",
    }
    follow: dict[str, Any] = {"inputs": token, "outputs": screen, **light}
    settled = "async (token, absent) => { await icm.settled(); return [token, absent]; }"
    page.load(
        handlers.attach,
        inputs=gr.Textbox(visible=False),
        outputs=[token, model, widgets.absent, widgets.words, *screen],
        js="() => [icm.token]",
        api_name="attach",
        **light,
    ).success(handlers.follow, api_name="follow", **follow)
    page.unload(handlers.detach)
    widgets.easel.act(handlers.on_easel, token, screen, api_name="easel", **light)
    widgets.tray.act(handlers.on_tray, token, screen, api_name="tray", **light).success(
        handlers.follow, api_name="follow_tray", **follow
    )
    widgets.viewer.act(handlers.on_viewer, token, screen, api_name="viewer", **light)
    for button, handler, name in (
        (widgets.run, handlers.start, "start"),
        (widgets.again, handlers.again, "again"),
    ):
        button.click(
            handler, [token, widgets.absent], screen, js=settled, api_name=name, **light
        ).success(handlers.follow, api_name=f"follow_{name}", **follow)
    widgets.stop.click(handlers.stop, token, screen, api_name="stop", **light)
    model.input(
        handlers.choose_model,
        [token, model],
        [model, widgets.words, *screen],
        api_name="model",
        **light,
    ).success(None, model, js="(model) => { icm.model = model; }")


def _widget(name: str) -> gr.HTML:
    """One of our own widgets; its script shows its value and triggers 'act' with a request."""
    return gr.HTML(
        value=None,
        html_template="<div></div>",
        js_on_load=f"icm.widget('{name}', element, (data) => trigger('act', data), props, watch)",
        apply_default_css=False,
        elem_id=name,
    )


def _bundled(name: str) -> str:
    return resources.files(__package__).joinpath("widgets", name).read_text(encoding="utf-8")
