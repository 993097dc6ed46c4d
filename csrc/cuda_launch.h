// Launchers of the CUDA kernels. Every pointer is readable by the device: device memory, or pinned
// host memory for pixels. `stream` is a cudaStream_t; all functions return once the work is queued.
// `type` is the element type of `out` (and, for the graph layer, of nodes and weights).
#pragma once

#include "au_gcn.h"
#include "crop_face.h"
#include "half.h"

namespace faceaffect {

// One face of an uploaded frame (pack_upload.h): the arguments of crop_face in device memory, so
// that a captured CUDA graph can be replayed with other frames.
struct FaceJob {
  FrameView frame;
  LevelTransform transform;
};

void crop_face_cuda(const FrameView& frame, const float* crop_to_frame, int count,
                    const CropParams& params, void* out, Element type, void* stream);
void crop_jobs_cuda(const FaceJob* jobs, int count, const CropParams& params, void* out,
                    Element type, void* stream);
void normalize_cuda(const uint8_t* pixels, int64_t count, int64_t plane_px,
                    const NormalizeParams& params, void* out, Element type, void* stream);
// out float32 [N, 12] whatever the type of nodes and weights
void au_gcn_cuda(const void* nodes, int64_t count, const GraphShape& shape, const void* weights,
                 float* out, Element type, void* stream);
// out float32 [N, 3, 12, 12] of crops [N, 3, S, S]: appearance_grid.h
void appearance_grid_cuda(const void* crops, int64_t count, int size_px, float* out, Element type,
                          void* stream);

}  // namespace faceaffect
