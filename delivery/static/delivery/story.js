/* Searches, copies and refreshes on the pages of deliveries, runs and replays. Each works without it, too. */
'use strict';

/** Mark every place of `term` in an element that holds text alone; returns how many there are. */
function mark(element, term) {
    const text = element.textContent;
    const lowered = text.toLowerCase();
    const pieces = [];
    let start = 0;
    let count = 0;
    // A few letters change their number when they change their case: then nothing is marked.
    if (term && lowered.length === text.length) {
        for (let at = lowered.indexOf(term); at >= 0; at = lowered.indexOf(term, start)) {
            const found = document.createElement('mark');
            found.textContent = text.slice(at, at + term.length);
            pieces.push(text.slice(start, at), found);
            start = at + term.length;
            count += 1;
        }
    }
    element.replaceChildren(...pieces, text.slice(start));
    element.querySelector('mark')?.scrollIntoView({block: 'nearest'});
    return count;
}

function findAsOneTypes(input) {
    const searched = document.getElementById(input.dataset.find);
    const told = document.getElementById('find-count');
    const find = () => {
        const term = input.value.trim().toLowerCase();
        const count = mark(searched, term);
        told.textContent = term ? `${count} found` : '';
    };
    input.addEventListener('input', find);
    if (input.value) {
        find();
    }
}

function copies(button) {
    if (!navigator.clipboard) {
        return; // an insecure page may not
    }
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener('click', async () => {
        try {
            await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
            button.textContent = 'Copied';
        } catch {
            button.textContent = 'Not allowed: select and copy';
        }
        setTimeout(() => { button.textContent = label; }, 2000);
    });
}

/** Take over from a newer copy of the page what has changed, and leave open what was opened. */
function takeOver(page) {
    for (const old of document.querySelectorAll('#live, [data-refreshed]')) {
        const fresh = page.getElementById(old.id);
        if (!fresh || old.contains(document.activeElement) && old.id !== 'live') {
            continue;
        }
        for (const opened of old.querySelectorAll('details[open][id]')) {
            fresh.querySelector(`#${CSS.escape(opened.id)}`)?.setAttribute('open', '');
        }
        if (fresh.innerHTML !== old.innerHTML) {
            old.replaceChildren(...fresh.childNodes);
        }
    }
    return Number(page.getElementById('live')?.dataset.refreshSeconds || 0);
}

function refreshes(seconds) {
    setTimeout(async () => {
        let next = seconds;
        if (!document.hidden) {
            try {
                const answer = await fetch(location.href, {redirect: 'error'});
                if (answer.ok) {
                    next = takeOver(new DOMParser().parseFromString(await answer.text(), 'text/html'));
                }
            } catch {
                next = seconds * 2; // away: asked again, more rarely
            }
        }
        if (next) {
            refreshes(next);
        }
    }, seconds * 1000);
}

document.addEventListener('DOMContentLoaded', () => {
    document.querySelectorAll('[data-find]').forEach(findAsOneTypes);
    document.querySelectorAll('[data-copy]').forEach(copies);
    const live = document.getElementById('live');
    if (live?.dataset.refreshSeconds) {
        refreshes(Number(live.dataset.refreshSeconds));
    }
});
