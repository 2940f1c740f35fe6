"""One module per tool: one public function, one frozen report. See `registry` for the list."""
