"""What can go wrong with an image-edit service, as one error with a short code for programs."""

from __future__ import annotations

from noescape.records import WorkError


class EndpointError(WorkError):
    """The service did not do what was asked.

    `code`: unreachable, timeout, http_<status>, redirect, too_large, bad_answer, not_an_image, off_origin, refused,
    wrong_model, no_models. `again`: another attempt may help, after `wait_s` seconds if the service named them.
    `everywhere`: no other image will fare better, so that the run stops.
    """

    def __init__(
        self, code: str, message: str, *, again: bool = False, wait_s: float | None = None, everywhere: bool = False
    ) -> None:
        super().__init__(message)
        self.code, self.again, self.wait_s, self.everywhere = code, again, wait_s, everywhere
