"""The page that lets people in: a form for a name and a password, and how to get a link on a machine without accounts."""

from html import escape

from ui.pages.layout import plain_frame

COMMANDS = ("phototag up", "phototag web --login-link")
HOW_TO_GET_A_LINK = "On the machine that serves phototag, one of these prints a link that logs in once:"
FIELDS = (("name", "Name", "text", "username"), ("password", "Password", "password", "current-password"))


def login_page(title: str, *, error: str = "", name: str = "", next_page: str = "") -> str:
    """The page as HTML. It works without scripts.

    Args:
        title: its heading.
        error: why the last attempt did not work; screen readers say it first.
        name: as it was typed.
        next_page: where to go afterwards.
    """
    notice = f'<p class="pt-notice pt-bad" role="alert" id="error">{escape(error)}</p>' if error else ""
    # after an error the cursor is where something has to be typed again
    focused = "password" if error and name else "name"
    fields = "\n".join(
        _field(*field, value=name if field[0] == "name" else "", focused=field[0] == focused, wrong=bool(error))
        for field in FIELDS
    )
    commands = "".join(f"<li><code>{escape(command)}</code></li>" for command in COMMANDS)
    return plain_frame(
        title,
        f"""<form class="pt-login" method="post" action="/login">
{notice}
{fields}
<input type="hidden" name="next" value="{escape(next_page)}">
<button class="pt-button" type="submit">Log in</button>
</form>
<h2>No password?</h2>
<p>{escape(HOW_TO_GET_A_LINK)}</p>
<ul class="pt-commands">{commands}</ul>""",
    )


def _field(name: str, label: str, kind: str, autocomplete: str, *, value: str, focused: bool, wrong: bool) -> str:
    more = ' autocapitalize="none" spellcheck="false"' if kind == "text" else ""
    more += f' value="{escape(value)}"' if value else ""
    more += ' aria-invalid="true" aria-describedby="error"' if wrong else ""
    more += " autofocus" if focused else ""
    return f'<label>{label}<input name="{name}" type="{kind}" autocomplete="{autocomplete}" required{more}></label>'
