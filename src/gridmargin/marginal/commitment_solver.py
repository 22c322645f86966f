"""Hand a commitment model to HiGHS as it stands: one sparse matrix, no modelling layer."""

from __future__ import annotations

import highspy
import numpy as np

from gridmargin.marginal.commitment_model import CommitmentModel


def solver_of(model: CommitmentModel, integer: bool) -> highspy.Highs:
    """Give a quiet, single-threaded HiGHS that holds the model.

    Parameters
    ----------
    integer : bool
        Whether on, started and stopped must be whole.
    """
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = model.rows.shape
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = model.cost, model.low, model.high
    lp.row_lower_, lp.row_upper_ = model.row_low, model.row_high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = model.rows.indptr
    lp.a_matrix_.index_ = model.rows.indices
    lp.a_matrix_.value_ = model.rows.data
    if integer:
        kind = np.full(lp.num_col_, highspy.HighsVarType.kContinuous)
        for columns in (model.on, model.started, model.stopped):
            kind[columns] = highspy.HighsVarType.kInteger
        lp.integrality_ = list(kind)
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(lp)
    return solver
