"""The cookie that holds a browser's session token."""

from fastapi import Request, Response

from ui.access import COOKIE, SECURE_COOKIE

# The row ends the session (12 h unused, 30 days at most); the cookie may live as long as the row can.
MAX_AGE_S = 30 * 24 * 3600


def set_session_cookie(answer: Response, request: Request, token: str, *, https: bool) -> None:
    """Gives the browser its session. `https`: a proxy in front speaks it, whatever this request says."""
    secure = https or request.url.scheme == "https"
    answer.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token,
        max_age=MAX_AGE_S,
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def delete_session_cookies(answer: Response) -> None:
    """Takes it back, under both of its names."""
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    answer.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
