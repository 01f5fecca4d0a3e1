"""A module for DEEPCOLOR_PLUGINS that registers the toys."""

import toy_maps

toy_maps.register()
