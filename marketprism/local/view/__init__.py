"""The live view of a running stack, or single lines for use without a terminal."""

from marketprism.local.view.controls import Controls as Controls
from marketprism.local.view.layout import View as View
from marketprism.local.view.state import Rates as Rates
from marketprism.local.view.state import ViewState as ViewState
from marketprism.local.view.status_line import status_line as status_line
