import type { ErrorBody } from "./types";

/** Why a question got no answer, and the way out, in words. */
export class ApiError extends Error {
  constructor(readonly code: string, message: string, readonly wayOut: string | null = null) {
    super(message);
  }
}

/** Ask a path relative to the page. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("Unreachable", "The server does not answer.", "Check that `gridmargin up` is still running.");
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok && body !== null) return body as T;
  const found = (body as Partial<ErrorBody> | null)?.error;
  throw new ApiError(found?.code ?? String(response.status), found?.message ?? `The server answered ${response.status} for ${path}.`, found?.way_out ?? null);
}
