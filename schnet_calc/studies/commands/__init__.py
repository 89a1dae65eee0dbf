"""Commands that repeat the thesis and the paper, and measure speed as they do."""
