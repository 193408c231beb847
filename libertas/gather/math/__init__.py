"""Formulas in web pages: whatever a page encodes them in, out comes LaTeX between dollars.

`may_have_math` decides cheaply whether a page is worth the trouble; `write_out_math` replaces every encoded formula in
the tree by text; `delimit` finds formulas that are text already, by the page's own delimiters; `unmark` finishes the
document. The job, and the list of encodings, are those of OpenWebMath (Paster et al. 2023, arXiv:2310.06786).
"""
