#include "cuda_launch.h"
#include "launch_kernel.h"

namespace faceaffect {

namespace {

constexpr int kColumns = 32, kRows = 4;  // crop pixels per block; faces along z

template <typename T>
__device__ void crop_pixel(const FrameView& frame, const LevelTransform& transform,
                           const CropParams& params, T* out) {
  const int x = blockIdx.x * kColumns + threadIdx.x, y = blockIdx.y * kRows + threadIdx.y;
  if (x >= params.size_px || y >= params.size_px) return;
  float value[3];
  crop_face_pixel(frame, transform, params, y, x, value);
  const int plane_px = params.size_px * params.size_px;
  out += static_cast<int64_t>(3 * plane_px) * blockIdx.z + params.size_px * y + x;
  for (int c = 0; c < 3; ++c) store_value(out + c * plane_px, value[c]);
}

template <typename T>
__global__ void crop_face_kernel(FrameView frame, const float* crop_to_frame, CropParams params,
                                 T* out) {
  crop_pixel(frame, transform_at_level(crop_to_frame + 6 * blockIdx.z), params, out);
}

template <typename T>
__global__ void crop_jobs_kernel(const FaceJob* jobs, CropParams params, T* out) {
  const FaceJob job = jobs[blockIdx.z];
  crop_pixel(job.frame, job.transform, params, out);
}

dim3 grid_of(int size_px, int faces) {
  return dim3((size_px + kColumns - 1) / kColumns, (size_px + kRows - 1) / kRows, faces);
}

// Calls launch(first face, face count) for as many faces as one grid holds.
template <typename Launch>
void for_grids(int count, const Launch& launch) {
  for (int from = 0; from < count; from += kMaxBlocks)
    launch(from, count - from < kMaxBlocks ? count - from : kMaxBlocks);
}

template <typename T>
void crop_faces(const FrameView& frame, const float* crop_to_frame, int count,
                const CropParams& params, T* out, void* stream) {
  const int64_t face = 3 * static_cast<int64_t>(params.size_px) * params.size_px;
  for_grids(count, [&](int from, int faces) {
    launch_kernel("crop_face_cuda", crop_face_kernel<T>, grid_of(params.size_px, faces),
                  dim3(kColumns, kRows), 0, stream, frame,
                  crop_to_frame + 6 * static_cast<int64_t>(from), params, out + from * face);
  });
}

template <typename T>
void crop_jobs(const FaceJob* jobs, int count, const CropParams& params, T* out, void* stream) {
  const int64_t face = 3 * static_cast<int64_t>(params.size_px) * params.size_px;
  for_grids(count, [&](int from, int faces) {
    launch_kernel("crop_jobs_cuda", crop_jobs_kernel<T>, grid_of(params.size_px, faces),
                  dim3(kColumns, kRows), 0, stream, jobs + from, params, out + from * face);
  });
}

}  // namespace

void crop_face_cuda(const FrameView& frame, const float* crop_to_frame, int count,
                    const CropParams& params, void* out, Element type, void* stream) {
  if (type == Element::Float16)
    crop_faces(frame, crop_to_frame, count, params, static_cast<Half*>(out), stream);
  else
    crop_faces(frame, crop_to_frame, count, params, static_cast<float*>(out), stream);
}

void crop_jobs_cuda(const FaceJob* jobs, int count, const CropParams& params, void* out,
                    Element type, void* stream) {
  if (type == Element::Float16)
    crop_jobs(jobs, count, params, static_cast<Half*>(out), stream);
  else
    crop_jobs(jobs, count, params, static_cast<float*>(out), stream);
}

}  // namespace faceaffect
