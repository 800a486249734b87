"""The authors' own programs beside decoct: the same data, nets and random draws. Run by ``benchmarks/side_by_side.py``.

One file a method, of the method's name, with

    REPOSITORY  of the authors, "owner/name"; ``--trees`` has a folder of that name, or of FOLDER
    PROGRAM     the file in it that runs
    OURS        the condenser of decoct that does the same, as a table of a study
    SETTING     data, net, images and iterations, in a line
    agree(tree) -> Agreement          both on the same draws, step by step
    make(tree, seed) -> (images, labels)   one set by the authors' program with draws of its own: uint8, or float32 on
                                      the scale of [0, 1]; left out where it does not make one in minutes on a CPU

What several share: beside.py compares, trees.py imports, data.py has the data and the nets; _hooks.py is for EDC and
G-VBSM, condensation.py for DC, DSA and DM, experts.py for MTT and DATM, siamese.py for these five. dit.py is no method:
the net of the generative ones beside its authors', which minimax.py fine-tunes.

Nothing of the authors is kept here: their files are imported where they lie. They run on the CPU through ``on_cpu``,
their draws are replaced through ``replaced``, and constants of their data sets by those of ours.
"""
