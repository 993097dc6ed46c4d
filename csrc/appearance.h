// Appearance descriptors of aligned faces, from the sums of appearance_grid.h. NumPy definition:
// sdk/faceaffect/kernels.
#pragma once

#include <cstdint>

#include "appearance_grid.h"

namespace faceaffect {

constexpr int kAppearanceCells = kAppearanceGrid * kAppearanceGrid;
constexpr int kAppearanceSize = 3 * kAppearanceCells;

// crops [N, 3, S, S] normalized, S >= 28  ->  grid [N, 3, 12, 12]
void sample_grid(const float* crops, int64_t count, int size_px, float* grid);

// grid [N, 3, 12, 12]  ->  unit-length descriptors [N, 432] with `mean_face` [432] subtracted; both
// may be the same memory.
void descriptors_from_grid(const float* grid, int64_t count, const float* mean_face,
                           float* descriptors);

// Dot product of two unit-length descriptors [count].
float cosine_similarity(const float* first, const float* second, int64_t count);

}  // namespace faceaffect
