# Sourced by .ci/run and .ci/release: runs recipes as steps, each with a time of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/ci

began=$SECONDS
table=""

# Prints how long each step took, and which one ended the run, if one did.
finish() {
  local status=$? failed=${running:-}
  trap - EXIT
  for pid in "${background[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  printf '\nSeconds per step:\n%b%6d  in all\n' "$table" $((SECONDS - began))
  if [ $status != 0 ]; then printf '\nThe step that failed: %s (exit code %d)\n' "${failed:-none}" $status; fi
  exit $status
}
background=()
trap finish EXIT

# step SECONDS RECIPE: runs a recipe, for this long at most.
step() {
  local most=$1 recipe=$2 start=$SECONDS status=0
  running=$recipe
  printf '\n== %s\n' "$recipe"
  timeout --kill-after=10 "$most" .ci/recipe "$recipe" || status=$?
  note "$most" "$recipe" "$start" "$status"
}

# Notes how a step went, and ends the run where it failed.
note() {
  local most=$1 recipe=$2 start=$3 status=$4
  table+=$(printf '%6d  %s' $((SECONDS - start)) "$recipe")'\n'
  if [ "$status" = 124 ] || [ "$status" = 137 ]; then echo "The step $recipe did not end within $most s."; fi
  [ "$status" = 0 ] || exit "$status"
  running=""
}

# start SECONDS RECIPE: begins a recipe beside the steps that follow, with what processor time these leave.
start() {
  local most=$1 recipe=$2
  printf '\n== %s begins in the background\n' "$recipe"
  setsid nice -n 19 timeout --kill-after=10 "$most" .ci/recipe "$recipe" > "target/ci/$recipe.log" 2>&1 &
  background+=($!)
  started_at=$SECONDS started_most=$most started=$recipe
}

# Waits for the recipe that was started last.
finished() {
  local status=0
  running=$started
  printf '\n== %s\n' "$started"
  wait "${background[-1]}" || status=$?
  tail -n 40 "target/ci/$started.log"
  background=()
  note "$started_most" "$started" "$started_at" "$status"
}
