# Sourced by .ci/run and .ci/release: runs recipes as steps, each with its own time limit.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/ci

began=$SECONDS
table=""

# Prints the duration of each step, and the step that failed, if any.
finish() {
  local status=$? failed=${running:-}
  trap - EXIT
  for pid in "${background[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  printf '\nSeconds per step:\n%b%6d  total\n' "$table" $((SECONDS - began))
  if [ $status != 0 ]; then printf '\nThe step that failed: %s (exit code %d)\n' "${failed:-none}" $status; fi
  exit $status
}
background=()
trap finish EXIT

# step SECONDS RECIPE: runs a recipe with a timeout.
step() {
  local most=$1 recipe=$2 start=$SECONDS status=0
  running=$recipe
  printf '\n== %s\n' "$recipe"
  timeout --kill-after=10 "$most" .ci/recipe "$recipe" || status=$?
  note "$most" "$recipe" "$start" "$status"
}

# Records the result of a step, and ends the run if it failed.
note() {
  local most=$1 recipe=$2 start=$3 status=$4
  table+=$(printf '%6d  %s' $((SECONDS - start)) "$recipe")'\n'
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then echo "The step $recipe did not end within $most s."; fi
  [ "$status" = 0 ] || exit "$status"
  running=""
}

# start SECONDS RECIPE: starts a recipe in the background, at low priority.
start() {
  local most=$1 recipe=$2
  printf '\n== %s begins in the background\n' "$recipe"
  setsid nice -n 19 timeout --kill-after=10 "$most" .ci/recipe "$recipe" > "target/ci/$recipe.log" 2>&1 &
  background+=($!)
  started_at=$SECONDS started_most=$most started=$recipe
}

# Waits for the recipe in the background.
finished() {
  local status=0
  running=$started
  printf '\n== %s\n' "$started"
  wait "${background[-1]}" || status=$?
  tail -n 40 "target/ci/$started.log"
  background=()
  note "$started_most" "$started" "$started_at" "$status"
}
