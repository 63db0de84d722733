<?php
/*
 * Fills a WordPress for real_wordpress.py: installs it, and makes what an archive must hold and what it must not.
 * Everything that strangers must not have says so in its text.
 *
 * php real_wordpress.php ROOT SIZE    fills it
 * php real_wordpress.php ROOT         prints what was put in, as one JSON object; addresses are known only afterwards
 */

[, $root, $size] = $argv + [2 => 0];
$size = (int) $size;
if ($size) {
    define('WP_INSTALLING', true);
}
define('SECRET', 'PRIVATE');
$_SERVER['HTTP_HOST'] = parse_url(getenv('WP_URL'), PHP_URL_HOST) . ':' . parse_url(getenv('WP_URL'), PHP_URL_PORT);

// Nothing is mailed from here.
function wp_mail() { return true; }
function wp_new_blog_notification() {}

require "$root/wp-load.php";
if (!$size) {
    $truth = get_option('outlast_truth');
    foreach (array_keys($truth['posts']) as $i) {
        $id = $truth['posts'][$i]['id'];
        $truth['posts'][$i] += ['url' => get_permalink($id), 'at' => get_post_time('c', true, $id)];
    }
    foreach ($truth['media'] as $i => $media) {
        $original = wp_get_original_image_url($media['id']) ?: wp_get_attachment_url($media['id']);
        $truth['media'][$i] += ['url' => $original, 'shown' => wp_get_attachment_url($media['id']),
            'page' => get_permalink($media['id'])];
    }
    foreach ($truth['users'] as $i => $user) {
        $truth['users'][$i]['url'] = get_author_posts_url($user['id']);
    }
    $truth['pages'] = [home_url('/')];
    foreach (get_terms(['taxonomy' => ['category', 'post_tag'], 'hide_empty' => true]) as $term) {
        $truth['pages'][] = get_term_link($term);
    }
    echo json_encode($truth);
    exit;
}
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/image.php';

wp_install('Herons', 'keeper', 'keeper@heron.example', true, '', 'not-a-secret');
update_option('show_avatars', 0);
update_option('comments_per_page', 5);
update_option('page_comments', 1);
update_option('thread_comments', 1);
update_option('timezone_string', 'Pacific/Auckland');
$GLOBALS['wp_rewrite']->set_permalink_structure('/%year%/%monthnum%/%postname%/');
wp_delete_post(1, true);
wp_delete_post(2, true);
wp_delete_post(3, true);

$truth = ['posts' => [], 'comments' => [], 'media' => [], 'users' => []];
$authors = [1];
foreach (['otter', 'walnut', 'kettle'] as $name) {
    $authors[] = wp_insert_user(['user_login' => $name, 'user_pass' => wp_generate_password(), 'role' => 'author',
        'user_email' => "$name@heron.example", 'description' => "$name likes tea"]);
}
foreach ($authors as $id) {
    $truth['users'][] = ['id' => $id];
}
$terms = [];
foreach (['tea', 'bread', 'rain'] as $name) {
    $terms[] = wp_insert_term($name, 'category')['term_id'];
}

/* Return the bytes of a picture that nobody took: noise, so that it cannot be compressed into another. */
function picture(int $seed, int $width, int $height, string $type): string {
    mt_srand($seed);
    $image = imagecreatetruecolor($width, $height);
    for ($i = 0; $i < 400; $i++) {
        $colour = imagecolorallocate($image, mt_rand(0, 255), mt_rand(0, 255), mt_rand(0, 255));
        imagefilledellipse($image, mt_rand(0, $width), mt_rand(0, $height), mt_rand(8, 300), mt_rand(8, 300), $colour);
    }
    ob_start();
    $type === 'png' ? imagepng($image) : imagejpeg($image, null, 88);
    imagedestroy($image);
    return ob_get_clean();
}

/* Upload bytes as the editor does, with all the sizes that WordPress makes. */
function upload(string $name, string $bytes, int $parent, int $author): int {
    $file = wp_upload_bits($name, null, $bytes);
    if ($file['error']) {
        throw new RuntimeException($file['error']);
    }
    $id = wp_insert_attachment(['post_mime_type' => $file['type'], 'post_title' => $name, 'post_status' => 'inherit',
        'post_author' => $author], $file['file'], $parent);
    wp_update_attachment_metadata($id, wp_generate_attachment_metadata($id, $file['file']));
    return $id;
}

/* Uploads to what the API does not show are in no list of it: their files can be found, their own pages cannot. */
function enter_media(array &$truth, int $id, string $bytes, bool $public, bool $listed = true): void {
    $truth['media'][] = ['id' => $id, 'sha256' => hash('sha256', $bytes), 'public' => $public, 'listed' => $listed];
}

$statuses = array_merge(array_fill(0, 16, 'publish'), ['private', 'draft', 'future', 'password']);
for ($i = 0; $i < $size; $i++) {
    $status = $statuses[$i % 20];
    $public = $status === 'publish';
    $type = $i % 13 === 6 ? 'page' : ($i % 17 === 5 ? 'book' : ($i % 19 === 4 ? 'zine' : 'post'));
    $mark = $public || $status === 'password' ? '' : SECRET;
    $when = $status === 'future' ? time() + 86400 * 400 : strtotime('2020-01-01 UTC') + $i * 36000;
    $text = $public ? "<p>Heron $i paints a slow river.</p>" : '<p>' . SECRET . " $i</p>";
    $post = ['post_type' => $type, 'post_title' => trim("$mark Teapot $i"), 'post_content' => $text,
        'post_author' => $authors[$i % 4], 'post_date_gmt' => gmdate('Y-m-d H:i:s', $when),
        'post_date' => get_date_from_gmt(gmdate('Y-m-d H:i:s', $when)), 'post_name' => strtolower(trim("$mark teapot-$i")),
        'post_status' => $status === 'password' ? 'publish' : $status,
        'post_password' => $status === 'password' ? 'open-sesame' : ''];
    if ($type === 'post') {
        $post['post_category'] = [$terms[$i % 3]];
        $post['tags_input'] = [['lamps', 'gulls'][$i % 2]];
    }
    $id = wp_insert_post($post, true);
    if (is_wp_error($id)) {
        throw new RuntimeException($id->get_error_message());
    }
    if ($i % 4 === 0 && $status !== 'password') {
        $is_big = $i % 12 === 0;
        $kind = $i % 8 === 0 ? 'png' : 'jpg';
        $bytes = $is_big ? picture($i, 3200, 2000, 'jpg') : picture($i, 800, 600, $kind);
        $media = upload(trim("$mark-heron-$i.", '-') . ($is_big ? 'jpg' : $kind), $bytes, $id, $authors[$i % 4]);
        enter_media($truth, $media, $bytes, $public, $type !== 'zine');
        $post['post_content'] .= wp_get_attachment_image($media, 'large');
        wp_update_post(['ID' => $id, 'post_content' => $post['post_content']]);
    }
    $truth['posts'][] = ['id' => $id, 'type' => $type, 'status' => $status];
    $above = 0;
    for ($n = 0; $n < $i % 9 && $type === 'post'; $n++) {
        $approved = ['1', '1', '1', '0', 'spam'][($i + $n) % 5];
        $shown = $public && $approved === '1';
        $comment = wp_insert_comment(['comment_post_ID' => $id, 'comment_author' => 'Otter', 'comment_parent' => $n % 3 === 2 ? $above : 0,
            'comment_content' => $shown ? "Tea $i $n" : SECRET . " $i $n", 'comment_approved' => $approved,
            'comment_date_gmt' => gmdate('Y-m-d H:i:s', $when + 60 * $n), 'comment_type' => 'comment',
            'comment_date' => get_date_from_gmt(gmdate('Y-m-d H:i:s', $when + 60 * $n))]);
        $above = $approved === '1' ? $comment : $above;
        $truth['comments'][] = ['id' => $comment, 'public' => $shown];
    }
}
foreach (['pdf' => "%PDF-1.4\n% a heron\n", 'txt' => "tea\n", 'mp3' => "ID3\3\0\0\0\0\0\0" . str_repeat("\xff\xfb\x90\0", 900)] as $ending => $bytes) {
    enter_media($truth, upload("walnut.$ending", $bytes, 0, 1), $bytes, true);
}
update_option('outlast_truth', $truth, false);
