// Portraits of aligned faces out of the sums of portrait_grid.h; the definition is sdk/faceaffect/tracking/appearance.py.
#pragma once

#include <cstdint>

#include "portrait_grid.h"

namespace faceaffect {

constexpr int kPortraitCellsOfGrid = kPortraitGrid * kPortraitGrid;
constexpr int kPortraitSize = 3 * kPortraitCellsOfGrid;

// crops [N, 3, S, S] normalized, S >= 28  ->  grid [N, 3, 12, 12]
void sample_grid(const float* crops, int64_t count, int size_px, float* grid);

// grid [N, 3, 12, 12]  ->  portraits [N, 432], which may be the same memory; `usual_face` [432] is taken out.
void descriptors_from_grid(const float* grid, int64_t count, const float* usual_face, float* portraits);

// The sum of products of two portraits of unit length [count].
float portrait_correlation(const float* first, const float* second, int64_t count);

}  // namespace faceaffect
